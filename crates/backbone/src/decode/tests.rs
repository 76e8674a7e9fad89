//! Image files that the tests write themselves, whole and damaged.

use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::{Frame, ImageBuffer, RgbaImage};

use super::*;

fn encoded(image: DynamicImage, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("memory takes any image");
    bytes.into_inner()
}

fn png(image: DynamicImage) -> Vec<u8> {
    encoded(image, image::ImageFormat::Png)
}

fn message(bytes: &[u8]) -> String {
    let error = Picture::decode("cat.png", bytes).expect_err("not an image");
    assert!(error.is_one_image());
    error.to_string()
}

/// 40 x 30 pixels that no encoder shrinks to nothing.
fn busy() -> DynamicImage {
    DynamicImage::ImageRgb8(image::RgbImage::from_fn(40, 30, |x, y| {
        let mix = |factor: u32| ((x * x * factor + y * 37 + x * y) % 251) as u8;
        image::Rgb([mix(3), mix(5), mix(7)])
    }))
}

fn gif(frames: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for number in 0..frames {
        let grey = (number * 100) as u8;
        let picture = RgbaImage::from_pixel(12, 9, image::Rgba([grey, grey, grey, 255]));
        encoder.encode_frame(Frame::new(picture)).expect("a frame");
    }
    drop(encoder);
    bytes
}

/// A little-endian TIFF of 2 x 1 grey pixels a page, without compression; samples of `bits` bits in `format` (1 whole,
/// 2 signed, 3 floating point).
fn tiff(bits: u16, format: u16, pages: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    for (page, pixels) in pages.iter().enumerate() {
        let entries: [(u16, u32); 9] = [
            (256, 2),
            (257, 1),
            (258, bits.into()),
            (259, 1),
            (262, 1),
            (273, bytes.len() as u32 + 2 + 9 * 12 + 4),
            (277, 1),
            (279, pixels.len() as u32),
            (339, format.into()),
        ];
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(4u16.to_le_bytes());
            bytes.extend(1u32.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        let next = if page + 1 < pages.len() { bytes.len() + 4 + pixels.len() } else { 0 };
        bytes.extend((next as u32).to_le_bytes());
        bytes.extend_from_slice(pixels);
    }
    bytes
}

#[test]
fn grey_and_colour_of_8_and_16_bits_decode() {
    for format in [image::ImageFormat::Png, image::ImageFormat::Tiff] {
        let grey = ImageBuffer::from_raw(2, 1, vec![0u16, 65535]).expect("two pixels");
        let picture = Picture::decode("g", &encoded(DynamicImage::ImageLuma16(grey), format)).expect("an image");
        assert_eq!((picture.channels(), picture.pixels()), (1, &[0u8, 255][..]), "{format:?}");
        let colour = ImageBuffer::from_raw(1, 1, vec![65535u16, 0, 32896]).expect("a pixel");
        let picture = Picture::decode("c", &encoded(DynamicImage::ImageRgb16(colour), format)).expect("an image");
        assert_eq!((picture.channels(), picture.pixels()), (3, &[255u8, 0, 128][..]), "{format:?}");
        let grey = ImageBuffer::from_raw(2, 1, vec![7u8, 200]).expect("two pixels");
        let picture = Picture::decode("g", &encoded(DynamicImage::ImageLuma8(grey), format)).expect("an image");
        assert_eq!((picture.channels(), picture.pixels()), (1, &[7u8, 200][..]), "{format:?}");
        let picture = Picture::decode("c", &encoded(busy(), format)).expect("an image");
        assert_eq!((picture.channels(), picture.pixels()), (3, busy().as_bytes()), "{format:?}");
    }
}

#[test]
fn what_is_written_as_png_is_read_again() {
    let picture = Picture::new(40, 10, 3, vec![77; 1200]).expect("40 x 10 pixels");
    assert_eq!(Picture::decode("p", &picture.to_png()).expect("a PNG"), picture);
}

#[test]
fn transparency_is_dropped_as_torchvision_drops_it() {
    let image = ImageBuffer::from_raw(1, 1, vec![10u8, 20, 30, 0]).expect("a pixel");
    let picture = Picture::decode("a", &png(DynamicImage::ImageRgba8(image))).expect("a PNG");
    assert_eq!(picture.pixels(), &[10, 20, 30]);
}

#[test]
fn empty_and_foreign_files_are_refused_with_their_name() {
    assert!(message(b"").contains("cat.png: the file is empty"));
    assert!(message(b"GIF89a\x01\x00\x01\x00").contains("damaged or cut short"));
    assert!(message(b"hello, world").contains("not a PNG"));
    assert!(message(b"\0\0\0\x18ftypheic\0\0\0\0").contains("HEIC images are not read; convert it"));
}

#[test]
fn a_picture_that_is_cut_short_anywhere_is_refused_whatever_its_form() {
    use image::ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    for format in [Png, Jpeg, Bmp, WebP, Gif, Tiff] {
        let whole = encoded(busy(), format);
        Picture::decode("whole", &whole).unwrap_or_else(|error| panic!("{error}"));
        // A GIF's and a PNG's last bytes say only that nothing follows: the picture is whole without them.
        let needed = whole.len() - if matches!(format, Gif | Png) { 20 } else { 1 };
        for percent in [10, 25, 50, 75, 90, 99, 100] {
            let length = (whole.len() * percent / 100).min(needed);
            let found = message(&whole[..length]);
            assert!(found.contains("cut short"), "{format:?}, {percent} %: {found}");
        }
    }
}

#[test]
fn a_jpeg_needs_its_end_and_may_have_more_behind_it() {
    let mut whole = Vec::new();
    JpegEncoder::new_with_quality(&mut whole, 95).encode_image(&busy()).expect("memory takes any image");
    let picture = Picture::decode("j", &whole).expect("a JPEG");
    assert!(whole.ends_with(b"\xff\xd9"));
    for missing in 1..=8 {
        assert!(message(&whole[..whole.len() - missing]).contains("its end is missing"), "{missing} bytes less");
    }
    // A download that was given its full length first is zeros at the end.
    let mut zeros = whole.clone();
    zeros[whole.len() / 2..].fill(0);
    assert!(message(&zeros).contains("its end is missing"));
    let mut more = whole.clone();
    more.extend(b"a second picture, or nothing of use");
    assert_eq!(Picture::decode("j", &more).expect("a JPEG"), picture);
    // A preview in a segment has an end of its own, which is not the picture's.
    let preview = [&b"\xff\xe1\x00\x08\xff\xd8\xff\xd9\x00\x00"[..], &whole[2..]].concat();
    let with_preview = [&whole[..2], &preview].concat();
    assert_eq!(Picture::decode("j", &with_preview).expect("a JPEG"), picture);
    assert!(message(&with_preview[..with_preview.len() - 2]).contains("its end is missing"));
}

#[test]
fn tiff_samples_that_are_no_whole_numbers_of_8_or_16_bits_are_refused() {
    let picture = Picture::decode("t", &tiff(8, 1, &[&[9, 250]])).expect("a TIFF");
    assert_eq!((picture.channels(), picture.pixels()), (1, &[9u8, 250][..]));
    let floats = [0.25f32, 1.0].map(f32::to_le_bytes).concat();
    for damaged in [tiff(32, 3, &[&floats]), tiff(32, 1, &[&floats]), tiff(16, 2, &[&[0; 4]])] {
        let found = message(&damaged);
        assert!(found.contains("TIFF of a kind") && found.contains("8 or 16 bits"), "{found}");
    }
    let float = ImageBuffer::from_raw(1, 1, vec![0.5f32; 3]).expect("a pixel");
    let found = message(&encoded(DynamicImage::ImageRgb32F(float), image::ImageFormat::Tiff));
    assert!(found.contains("floating-point samples are not read; scale them"), "{found}");
}

#[test]
fn of_several_frames_or_pages_the_first_is_taken_and_the_others_are_known_of() {
    let first = Picture::decode("g", &gif(3)).expect("a GIF");
    assert!(first.pixels().iter().all(|&value| value == 0));
    assert_eq!(first, Picture::decode("g", &gif(1)).expect("a GIF"));
    assert!(holds_more_than_one(&gif(3)) && !holds_more_than_one(&gif(1)));
    let (one, two) = (tiff(8, 1, &[&[1, 2]]), tiff(8, 1, &[&[1, 2], &[3, 4]]));
    assert_eq!(Picture::decode("t", &two).expect("a TIFF").pixels(), &[1, 2]);
    assert!(holds_more_than_one(&two) && !holds_more_than_one(&one));
    // Nothing that a damaged file states makes the count go astray.
    for whole in [gif(2), two, png(busy()), encoded(busy(), image::ImageFormat::WebP)] {
        assert!((0..whole.len()).all(|length| {
            holds_more_than_one(&whole[..length]);
            true
        }));
        let mut damaged = whole;
        for at in 0..damaged.len().min(300) {
            damaged[at] ^= 0xff;
            holds_more_than_one(&damaged);
            damaged[at] ^= 0xff;
        }
    }
}

#[test]
fn frames_of_animated_png_and_webp_are_counted() {
    let chunk =
        |kind: &[u8; 4], content: &[u8]| [&(content.len() as u32).to_be_bytes()[..], kind, content, &[0; 4]].concat();
    let animated = |frames: u32| {
        let control = [frames.to_be_bytes(), [0; 4]].concat();
        [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &[0; 13]), &chunk(b"acTL", &control), &chunk(b"IDAT", &[])].concat()
    };
    assert!(holds_more_than_one(&animated(2)) && !holds_more_than_one(&animated(1)));
    let frame = b"ANMF\x03\0\0\0abc\0";
    let webp = |frames: usize| [&b"RIFF\0\0\0\0WEBPVP8X\x02\0\0\0ab"[..], &frame.repeat(frames)].concat();
    assert!(holds_more_than_one(&webp(2)) && !holds_more_than_one(&webp(1)));
}

#[test]
fn a_header_of_30000_by_30000_is_refused_before_any_allocation() {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = b"IHDR".to_vec();
    header.extend(30_000u32.to_be_bytes());
    header.extend(30_000u32.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut checksum = flate2::Crc::new();
    checksum.update(&header);
    bytes.extend(13u32.to_be_bytes());
    bytes.extend(&header);
    bytes.extend(checksum.sum().to_be_bytes());
    bytes.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    assert!(message(&bytes).contains("too large"), "{}", message(&bytes));

    let mut bytes = gif(1);
    bytes[6..10].copy_from_slice(&[30_000u16.to_le_bytes(), 30_000u16.to_le_bytes()].concat());
    assert!(message(&bytes).contains("too large"), "{}", message(&bytes));

    // The first two entries of the directory are the sides.
    let mut bytes = tiff(8, 1, &[&[1, 2]]);
    bytes[18..22].copy_from_slice(&30_000u32.to_le_bytes());
    bytes[30..34].copy_from_slice(&30_000u32.to_le_bytes());
    assert!(message(&bytes).contains("too large"), "{}", message(&bytes));
}

#[test]
fn a_picture_within_the_sides_but_beyond_the_memory_is_refused() {
    // 16,000 x 16,000 x 3 bytes are 732 MiB.
    let mut bytes = encoded(busy(), image::ImageFormat::Jpeg);
    let frame = bytes.windows(2).position(|two| two == b"\xff\xc0").expect("a baseline frame");
    bytes[frame + 5..frame + 9].copy_from_slice(&[16_000u16.to_be_bytes(), 16_000u16.to_be_bytes()].concat());
    assert!(message(&bytes).contains("too large"), "{}", message(&bytes));
}
