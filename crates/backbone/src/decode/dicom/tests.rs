//! DICOM files built element by element.

use super::*;

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const JPEG: &str = "1.2.840.10008.1.2.4.50";
const UNDEFINED: u32 = u32::MAX;

/// A file under construction.
struct File {
    bytes: Vec<u8>,
    explicit: bool,
}

impl File {
    fn new(syntax: &str) -> Self {
        let mut file = Self { bytes: vec![0; 128], explicit: true };
        file.bytes.extend(b"DICM");
        file = file.element(0x0002, 0x0001, "OB", &[0, 1]).text(0x0002, 0x0010, "UI", syntax);
        file.explicit = syntax != IMPLICIT;
        file
    }

    /// A grey picture of 3 x 2 pixels.
    fn grey(syntax: &str, allocated: u16, stored: u16, signed: bool) -> Self {
        Self::new(syntax)
            .text(0x0008, 0x0060, "CS", "CT")
            .whole(0x0028, 0x0002, 1)
            .text(0x0028, 0x0004, "CS", "MONOCHROME2")
            .whole(0x0028, 0x0010, 2)
            .whole(0x0028, 0x0011, 3)
            .whole(0x0028, 0x0100, allocated)
            .whole(0x0028, 0x0101, stored)
            .whole(0x0028, 0x0102, stored - 1)
            .whole(0x0028, 0x0103, signed.into())
    }

    fn tag(mut self, group: u16, element: u16, kind: &str, length: u32) -> Self {
        self.bytes.extend(group.to_le_bytes());
        self.bytes.extend(element.to_le_bytes());
        let long = matches!(kind, "OB" | "OW" | "SQ" | "UN" | "OF");
        match (self.explicit && !kind.is_empty(), long) {
            (false, _) => self.bytes.extend(length.to_le_bytes()),
            (true, false) => self.bytes.extend([kind.as_bytes(), &(length as u16).to_le_bytes()].concat()),
            (true, true) => self.bytes.extend([kind.as_bytes(), &[0, 0], &length.to_le_bytes()].concat()),
        }
        self
    }

    fn element(self, group: u16, element: u16, kind: &str, value: &[u8]) -> Self {
        let mut file = self.tag(group, element, kind, value.len() as u32);
        file.bytes.extend(value);
        file
    }

    fn text(self, group: u16, element: u16, kind: &str, text: &str) -> Self {
        let mut value = text.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(if kind == "UI" { 0 } else { b' ' });
        }
        self.element(group, element, kind, &value)
    }

    fn whole(self, group: u16, element: u16, value: u16) -> Self {
        self.element(group, element, "US", &value.to_le_bytes())
    }

    fn window(self, centre: &str, width: &str) -> Self {
        self.text(0x0028, 0x1050, "DS", centre).text(0x0028, 0x1051, "DS", width)
    }

    fn rescale(self, intercept: &str, slope: &str) -> Self {
        self.text(0x0028, 0x1052, "DS", intercept).text(0x0028, 0x1053, "DS", slope)
    }

    fn pixels(self, values: &[i32]) -> Vec<u8> {
        let values: Vec<u8> = values.iter().flat_map(|&value| (value as u16).to_le_bytes()).collect();
        self.element(0x7fe0, 0x0010, "OW", &values).bytes
    }

    fn bytes_of_pixels(self, values: &[u8]) -> Vec<u8> {
        self.element(0x7fe0, 0x0010, "OB", values).bytes
    }

    fn fragments(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut file = self.tag(0x7fe0, 0x0010, "OB", UNDEFINED).element(0xfffe, 0xe000, "", &[]);
        for part in parts {
            file = file.element(0xfffe, 0xe000, "", part);
        }
        file.element(0xfffe, 0xe0dd, "", &[]).bytes
    }
}

fn greys(bytes: &[u8]) -> Vec<u8> {
    let picture = Picture::decode("x.dcm", bytes).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((picture.width(), picture.height(), picture.channels()), (3, 2, 1));
    picture.pixels().to_vec()
}

fn message(bytes: &[u8]) -> String {
    let error = Picture::decode("x.dcm", bytes).expect_err("not read");
    assert!(error.is_one_image());
    error.to_string()
}

#[test]
fn values_of_8_bits_without_a_window_stay_as_they_are_explicit_and_implicit() {
    for syntax in [EXPLICIT, IMPLICIT] {
        let file = File::grey(syntax, 8, 8, false).bytes_of_pixels(&[0, 1, 100, 200, 254, 255]);
        assert_eq!(greys(&file), [0, 1, 100, 200, 254, 255], "{syntax}");
    }
}

#[test]
fn a_window_is_the_standards_linear_function() {
    // PS3.3, C.11.2.1.2.1, its own example: centre 2048, width 4096 gives 0 at 0 and 255 at 4095.
    let file = File::grey(EXPLICIT, 16, 12, false).window("2048", "4096").pixels(&[0, 1, 2047, 2048, 4094, 4095]);
    let line = |x: f64| (((x - 2047.5) / 4095.0 + 0.5) * 255.0).round() as u8;
    assert_eq!(greys(&file), [0, line(1.0), line(2047.0), line(2048.0), line(4094.0), 255]);
    // And centre 2048, width 1: a threshold, with 0 up to 2047.5.
    let file = File::grey(EXPLICIT, 16, 12, false).window("2048", "1").pixels(&[0, 2047, 2048, 2049, 4095, 1]);
    assert_eq!(greys(&file), [0, 0, 255, 255, 255, 0]);
    // The first of several windows counts.
    let file = File::grey(EXPLICIT, 16, 12, false).window("100\\2048", "1\\4096").pixels(&[99, 100, 0, 0, 0, 0]);
    assert_eq!(greys(&file)[..2], [0, 255]);
}

#[test]
fn signed_values_are_rescaled_before_the_window() {
    let values = [-1024, -1000, 0, 40, 1000, 3071];
    // 2 x - 24 in a window from -2000 to 2000.
    let file = File::grey(EXPLICIT, 16, 16, true).rescale("-24", "2").window("0.5", "4001").pixels(&values);
    let expected = values.map(|x| (((2.0 * f64::from(x) - 24.0) / 4000.0 + 0.5) * 255.0).round().clamp(0.0, 255.0));
    assert_eq!(greys(&file), expected.map(|value| value as u8));
}

#[test]
fn only_the_stored_bits_count_and_their_highest_is_the_sign() {
    let file = File::grey(EXPLICIT, 16, 12, true).window("0.5", "4097").pixels(&[0xf800, 0x07ff, 0xf7ff, 0x0800, 0, 0]);
    let line = |x: f64| ((x / 4096.0 + 0.5) * 255.0).round() as u8;
    assert_eq!(greys(&file)[..4], [line(-2048.0), line(2047.0), line(2047.0), line(-2048.0)]);
    // Stored in bits 15 to 4.
    let mut file = File::grey(EXPLICIT, 16, 12, false);
    let high = file.bytes.windows(4).position(|tag| tag == [0x28, 0, 2, 1]).expect("the high bit");
    file.bytes[high + 8] = 15;
    let file = file.window("2048", "4096").pixels(&[0x000f, 0xffff, 0xfff0, 0, 0, 0]);
    assert_eq!(greys(&file)[..3], [0, 255, 255]);
}

#[test]
fn without_a_window_the_smallest_is_black_and_the_largest_white_padding_apart() {
    let file = File::grey(EXPLICIT, 16, 16, true).rescale("-1024", "1").pixels(&[-100, 0, 100, 50, -50, 100]);
    assert_eq!(greys(&file), [0, 128, 255, 191, 64, 255]);
    let file = File::grey(EXPLICIT, 16, 16, true).whole(0x0028, 0x0120, (-2000i16) as u16);
    assert_eq!(greys(&file.pixels(&[-2000, 0, 100, 50, -100, -2000])), [0, 128, 255, 191, 0, 0]);
    let file = File::grey(EXPLICIT, 16, 16, false).pixels(&[7; 6]);
    assert_eq!(greys(&file), [0; 6]);
}

#[test]
fn monochrome_1_is_turned_around() {
    let mut file = File::grey(EXPLICIT, 8, 8, false);
    let at = file.bytes.windows(11).position(|text| text == b"MONOCHROME2").expect("the interpretation");
    file.bytes[at + 10] = b'1';
    assert_eq!(greys(&file.bytes_of_pixels(&[0, 1, 100, 200, 254, 255])), [255, 254, 155, 55, 1, 0]);
}

#[test]
fn sequences_of_known_and_unknown_length_are_passed_over() {
    for syntax in [EXPLICIT, IMPLICIT] {
        let file = File::new(syntax)
            .tag(0x0008, 0x1140, "SQ", UNDEFINED)
            .tag(0xfffe, 0xe000, "", UNDEFINED)
            .tag(0x0008, 0x1199, "SQ", UNDEFINED)
            .element(0xfffe, 0xe000, "", &[1, 2, 3, 4])
            .element(0xfffe, 0xe0dd, "", &[])
            .whole(0x0028, 0x0010, 999)
            .element(0xfffe, 0xe00d, "", &[])
            .element(0xfffe, 0xe0dd, "", &[])
            .element(0x0008, 0x2112, "SQ", &[9; 8]);
        let mut whole = file.bytes;
        whole.extend(&File::grey(syntax, 8, 8, false).bytes_of_pixels(&[5; 6])[File::new(syntax).bytes.len()..]);
        assert_eq!(greys(&whole), [5; 6], "{syntax}");
    }
}

#[test]
fn baseline_jpeg_in_fragments_is_read() {
    let picture = image::GrayImage::from_raw(3, 2, vec![90; 6]).expect("six pixels");
    let mut jpeg = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut jpeg, image::ImageFormat::Jpeg).expect("memory takes any image");
    let mut jpeg = jpeg.into_inner();
    let plain = super::super::jpeg(&jpeg).expect("a JPEG").pixels().to_vec();
    jpeg.resize(jpeg.len().next_multiple_of(2), 0);
    let half = jpeg.len() / 4 * 2;
    let file = |parts: &[&[u8]]| File::grey(JPEG, 8, 8, false).fragments(parts);
    assert_eq!(greys(&file(&[&jpeg])), plain);
    assert_eq!(greys(&file(&[&jpeg[..half], &jpeg[half..]])), plain);
    assert!(message(&file(&[&jpeg[..half]])).contains("cut short"));
    assert!(message(&file(&[])).contains("without a fragment"));
    assert!(message(&File::grey(EXPLICIT, 8, 8, false).fragments(&[&jpeg])).contains("fragments of an uncompressed"));
    assert!(message(&File::grey(JPEG, 8, 8, false).bytes_of_pixels(&jpeg)).contains("without fragments"));
    assert!(message(&File::grey(JPEG, 16, 12, false).fragments(&[&jpeg])).contains("baseline JPEG has 8"));
}

#[test]
fn what_is_not_read_is_named_with_a_remedy() {
    let grey = || File::grey(EXPLICIT, 16, 12, false);
    let colour = File::new(EXPLICIT).text(0x0028, 0x0004, "CS", "RGB").whole(0x0028, 0x0002, 3);
    let enhanced = grey().tag(0x5200, 0x9229, "SQ", UNDEFINED).element(0xfffe, 0xe0dd, "", &[]);
    let table = grey().element(0x0028, 0x3000, "SQ", &[]);
    let voi = grey().element(0x0028, 0x3010, "SQ", &[]);
    let sigmoid = grey().window("40", "400").text(0x0028, 0x1056, "CS", "SIGMOID");
    let cases = [
        (colour.pixels(&[0; 6]), "colours (RGB)"),
        (grey().text(0x0028, 0x0008, "IS", "12").pixels(&[0; 6]), "12 frames"),
        (enhanced.pixels(&[0; 6]), "enhanced"),
        (table.pixels(&[0; 6]), "modality tables"),
        (voi.pixels(&[0; 6]), "tables instead of a window"),
        (sigmoid.pixels(&[0; 6]), "SIGMOID"),
        (File::grey(EXPLICIT, 32, 32, false).pixels(&[0; 12]), "32 bits"),
        (grey().element(0x7fe0, 0x0008, "OF", &[0; 24]).bytes, "floating-point"),
        (File::new("1.2.840.10008.1.2.4.90").bytes, "(JPEG 2000)"),
        (File::new("1.2.840.10008.1.2.5").bytes, "(RLE lossless)"),
        (File::new("1.2.840.10008.1.2.2").bytes, "(explicit VR big endian)"),
        (File::new("1.2.3").bytes, "1.2.3 (unknown)"),
    ];
    for (file, what) in cases {
        let found = message(&file);
        assert!(found.contains(what) && found.contains("export it as PNG"), "{found}");
    }
}

#[test]
fn damaged_files_are_refused_without_a_panic() {
    let file = |pixels: usize| File::grey(EXPLICIT, 16, 12, false).window("40", "400").pixels(&vec![1; pixels]);
    assert!(message(&file(5)).contains("10 bytes of pixels, where the picture has 12"));
    assert!(message(&file(7)).contains("14 bytes of pixels"));
    let without = |tag: [u8; 4]| {
        let mut bytes = file(6);
        let at = bytes.windows(4).position(|found| found == tag).expect("the element");
        bytes[at + 2] = 0xee;
        message(&bytes)
    };
    assert!(without([0x28, 0, 0x10, 0]).contains("number of rows is missing"));
    assert!(without([0x28, 0, 4, 0]).contains("no photometric"));
    assert!(without([0xe0, 0x7f, 0x10, 0]).contains("holds no picture"));
    assert!(
        message(&File::grey(EXPLICIT, 8, 12, false).bytes_of_pixels(&[0; 6])).contains("12 bits below bit 11 of 8")
    );
    assert!(message(&File::grey(EXPLICIT, 16, 12, false).window("40", "0.5").pixels(&[0; 6])).contains("width 0.5"));
    assert!(
        message(&File::grey(EXPLICIT, 16, 12, false).window("x", "1").pixels(&[0; 6])).contains("\"x\", no number")
    );
    let large = File::new(EXPLICIT)
        .text(0x0028, 0x0004, "CS", "MONOCHROME2")
        .whole(0x0028, 0x0010, 60_000)
        .whole(0x0028, 0x0011, 60_000)
        .whole(0x0028, 0x0100, 16);
    assert!(message(&large.pixels(&[0; 6])).contains("too large"));

    let mut endless = File::new(EXPLICIT);
    for _ in 0..100 {
        endless = endless.tag(0x0008, 0x1140, "SQ", UNDEFINED).tag(0xfffe, 0xe000, "", UNDEFINED);
    }
    assert!(message(&endless.bytes).contains("without end"));

    for syntax in [EXPLICIT, IMPLICIT] {
        let whole = File::grey(syntax, 16, 12, false).pixels(&[1; 6]);
        for length in 132..whole.len() {
            message(&whole[..length]);
        }
        let mut damaged = whole.clone();
        for at in 132..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                damaged[at] ^= flip;
                // Most are refused; one that changes a pixel is not.
                let _ = Picture::decode("x.dcm", &damaged);
                damaged[at] = whole[at];
            }
        }
    }
}
