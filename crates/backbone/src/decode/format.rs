//! What kind of image a file holds, by its first bytes and never by its name.

/// So many bytes from the start of a file tell what it is: DICOM's mark comes last, after a preamble of 128.
pub(crate) const HEAD_BYTES: usize = 132;

/// A kind of image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImageFormat {
    Png,
    Jpeg,
    Bmp,
    WebP,
    Gif,
    Tiff,
    Dicom,
    /// An image, though of a kind that is not read: it is refused by name rather than passed over in silence.
    Unread(&'static str),
}

impl ImageFormat {
    /// The kind of image that begins with `head`, at most [`HEAD_BYTES`] of which count; `None` if it is no image.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        let at = |from: usize, mark: &[u8]| head.get(from..).is_some_and(|rest| rest.starts_with(mark));
        let either = |marks: &[&[u8]]| marks.iter().any(|mark| at(0, mark));
        if at(0, b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if at(0, b"\xff\xd8\xff") {
            Some(Self::Jpeg)
        } else if either(&[b"GIF87a", b"GIF89a"]) {
            Some(Self::Gif)
        } else if at(0, b"RIFF") && at(8, b"WEBP") {
            Some(Self::WebP)
        } else if either(&[b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]) {
            Some(Self::Tiff)
        } else if is_bitmap(head) {
            Some(Self::Bmp)
        } else if at(128, b"DICM") {
            Some(Self::Dicom)
        } else if either(&[b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"]) {
            Some(Self::Unread("JPEG 2000"))
        } else if either(&[b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a"]) {
            Some(Self::Unread("JPEG XL"))
        } else if at(4, b"ftypavif") || at(4, b"ftypavis") {
            Some(Self::Unread("AVIF"))
        } else if [&b"ftyphei"[..], b"ftyphev", b"ftypmif1", b"ftypmsf1"].iter().any(|brand| at(4, brand)) {
            Some(Self::Unread("HEIC"))
        } else {
            None
        }
    }
}

/// `BM` alone would take a list whose first path begins with BMW for a bitmap: the size of its second header, one of a
/// few, tells.
fn is_bitmap(head: &[u8]) -> bool {
    let size = head.get(14..18).map(|size| u32::from_le_bytes([size[0], size[1], size[2], size[3]]));
    head.starts_with(b"BM") && matches!(size, Some(12 | 16 | 40 | 52 | 56 | 64 | 108 | 124))
}

#[cfg(test)]
mod tests {
    use super::ImageFormat;

    #[test]
    fn text_and_other_files_are_no_images() {
        let others: [&[u8]; 7] = [
            b"",
            b"BMW/1.jpg,car\nBMW/2.jpg,car\n",
            b"GIF",
            b"II",
            b"RIFF\0\0\0\0WAVEfmt ",
            b"PK\x03\x04",
            b"\xd0\xcf\x11\xe0",
        ];
        for other in others {
            assert_eq!(ImageFormat::of(other), None, "{other:?}");
        }
    }

    #[test]
    fn kinds_that_are_not_read_have_a_name() {
        assert_eq!(ImageFormat::of(b"\0\0\0\x18ftypheic\0\0\0\0"), Some(ImageFormat::Unread("HEIC")));
        assert_eq!(ImageFormat::of(b"\0\0\0\x1cftypavif\0\0\0\0"), Some(ImageFormat::Unread("AVIF")));
        assert_eq!(ImageFormat::of(b"\xff\x4f\xff\x51\0"), Some(ImageFormat::Unread("JPEG 2000")));
        assert_eq!(ImageFormat::of(b"\xff\x0a\xfa\x1f"), Some(ImageFormat::Unread("JPEG XL")));
    }
}
