//! Transfer syntaxes: how a DICOM file and its picture are written (PS3.6, annex A).

use super::{REMEDY, Result};

/// The ways that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    ImplicitLittle,
    ExplicitLittle,
    /// JPEG baseline, 8 bits.
    Jpeg,
}

pub(super) fn coding(uid: &str) -> Result<Coding> {
    let known = match uid {
        "1.2.840.10008.1.2" => return Ok(Coding::ImplicitLittle),
        "1.2.840.10008.1.2.1" => return Ok(Coding::ExplicitLittle),
        "1.2.840.10008.1.2.4.50" => return Ok(Coding::Jpeg),
        "1.2.840.10008.1.2.1.99" => "deflated explicit VR little endian",
        "1.2.840.10008.1.2.2" => "explicit VR big endian",
        "1.2.840.10008.1.2.4.51" => "JPEG extended (12 bits)",
        "1.2.840.10008.1.2.4.57" | "1.2.840.10008.1.2.4.70" => "JPEG lossless",
        "1.2.840.10008.1.2.4.80" | "1.2.840.10008.1.2.4.81" => "JPEG-LS",
        "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => "JPEG 2000",
        "1.2.840.10008.1.2.4.201" | "1.2.840.10008.1.2.4.202" | "1.2.840.10008.1.2.4.203" => {
            "high-throughput JPEG 2000"
        }
        "1.2.840.10008.1.2.5" => "RLE lossless",
        _ => "unknown",
    };
    Err(format!("the DICOM transfer syntax {uid} ({known}) is not read; {REMEDY}"))
}
