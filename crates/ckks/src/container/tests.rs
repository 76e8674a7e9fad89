//! Tests of the container: round trips, and every way to refuse.

use super::*;
use std::borrow::Cow;
use std::io::{Cursor, Read, Seek, SeekFrom};

fn small() -> ContainerWriter<'static> {
    ContainerWriter::new("sample", 3)
        .metadata("job", "a \"quoted\" name")
        .u64("residues", &[2, 3], vec![0, 1, u64::MAX, 7, 8, 9])
        .f64("weight", &[2], vec![-0.5, f64::MIN_POSITIVE])
        .u8("seed", &[5], vec![1, 2, 3, 4, 5])
        .i8("labels", &[3], vec![-1, 0, 1])
        .i64("classes", &[2], vec![i64::MIN, 9])
        .packed("limbs", &[8, 16], vec![vec![1, 2, 3], vec![4, 5, 6]])
}

#[test]
fn what_is_written_is_read_back() {
    let bytes = small().to_bytes().unwrap();
    let container = Container::parse(&bytes[..], "sample", 3).unwrap();
    assert_eq!(container.metadata("job").unwrap(), "a \"quoted\" name");
    let residues = container.tensor("residues").unwrap();
    assert_eq!(residues.shape(), [2, 3]);
    assert_eq!(residues.u64s().unwrap().collect::<Vec<_>>(), [0, 1, u64::MAX, 7, 8, 9]);
    let limbs = container.packed("limbs").unwrap();
    assert_eq!(limbs.shape(), PackedShape { widths: &[8, 16], count: 2, row_bytes: 3 });
    assert_eq!(limbs.rows().collect::<Vec<_>>(), [[1, 2, 3], [4, 5, 6]]);
    assert!(container.packed("seed").is_err());
    let weight = container.tensor("weight").unwrap().f64s().unwrap();
    assert_eq!(weight.collect::<Vec<_>>(), [-0.5, f64::MIN_POSITIVE]);
    assert_eq!(container.tensor("seed").unwrap().u8s().unwrap(), [1, 2, 3, 4, 5]);
    let labels = container.tensor("labels").unwrap().i8s().unwrap();
    assert_eq!(labels.collect::<Vec<_>>(), [-1, 0, 1]);
    let classes = container.tensor("classes").unwrap().i64s().unwrap();
    assert_eq!(classes.collect::<Vec<_>>(), [i64::MIN, 9]);
}

#[test]
fn packed_tensors_are_refused_if_their_metadata_do_not_fit_them() {
    let parse = |writer: ContainerWriter| Container::parse(writer.to_bytes().unwrap(), "k", 1).map(|_| ());
    let writer = || ContainerWriter::new("k", 1);
    assert!(parse(writer().packed("t", &[8], vec![vec![0]])).is_ok());
    for width in [0, 7, 58, u32::MAX] {
        assert!(parse(writer().packed("t", &[width], vec![vec![0]])).is_err(), "{width}");
    }
    assert!(parse(writer().packed("t", &[8], vec![])).is_err(), "rows of no byte could be any number");
    let unequal = writer().packed("t", &[8], vec![vec![0], vec![1, 2]]);
    assert!(matches!(unequal.to_bytes(), Err(ContainerError::Unwritable(_))));
    let container = ContainerWriter::new("k", 1).metadata("packed", r#"{"t":[8]}"#).u64("t", &[1], vec![1]);
    assert!(!String::from_utf8_lossy(&container.to_bytes().unwrap()).contains("packed"), "callers cannot set it");
}

#[test]
fn wide_tensors_lie_at_multiples_of_eight_bytes() {
    let bytes = small().to_bytes().unwrap();
    let container = Container::parse(&bytes[..], "sample", 3).unwrap();
    for name in ["residues", "weight", "classes"] {
        let offset = container.tensor(name).unwrap().bytes().as_ptr().addr() - bytes.as_ptr().addr();
        assert_eq!(offset % 8, 0, "{name}");
    }
}

#[test]
fn every_changed_byte_is_refused() {
    let bytes = small().to_bytes().unwrap();
    for position in 0..bytes.len() {
        for change in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
            let mut changed = bytes.clone();
            changed[position] ^= change;
            assert!(Container::parse(changed, "sample", 3).is_err(), "byte {position} changed by {change} is accepted");
        }
    }
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    let bytes = small().to_bytes().unwrap();
    for length in 0..bytes.len() {
        assert!(Container::parse(&bytes[..length], "sample", 3).is_err());
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(Container::parse(longer, "sample", 3).is_err());
}

#[test]
fn another_kind_is_refused_by_its_name() {
    let bytes = small().to_bytes().unwrap();
    let error = Container::parse(bytes, "head", 3).unwrap_err();
    assert!(matches!(&error, ContainerError::WrongKind { found, expected } if found == "sample" && expected == "head"));
    assert!(error.to_string().contains("holds sample, but head"));
}

#[test]
fn newer_and_older_versions_are_refused_with_the_remedy() {
    let bytes = small().to_bytes().unwrap();
    let message = |version| Container::parse(&bytes[..], "sample", version).unwrap_err().to_string();
    assert!(message(2).contains("update Ciphertune"), "{}", message(2));
    assert!(message(4).contains("version 3, this program reads version 4: make it again"), "{}", message(4));
    assert_eq!(Container::parse(&bytes[..], "sample", 3).unwrap().header().version(), 3);
}

#[test]
fn other_programs_safetensors_files_are_told_apart() {
    let header = br#"{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}   "#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.push(7);
    let error = Container::parse_any(bytes).unwrap_err();
    assert!(matches!(error, ContainerError::Foreign("kind")), "{error}");
}

#[test]
fn wrong_element_types_shapes_and_names_are_refused() {
    let bytes = small().to_bytes().unwrap();
    let container = Container::parse(bytes, "sample", 3).unwrap();
    let seed = container.tensor("seed").unwrap();
    assert!(seed.u64s().is_err() && seed.f64s().is_err() && seed.i64s().is_err());
    assert!(seed.of_shape(&[5]).is_ok() && seed.of_shape(&[5, 1]).is_err());
    assert!(container.tensor("sed").is_err());
    assert!(container.metadata("jobs").is_err());
    assert!(container.parse_metadata::<u32>("job").is_err());
}

#[test]
fn the_writer_refuses_shapes_and_names_that_do_not_fit() {
    let writer = || ContainerWriter::new("k", 1).u8("t", &[2], vec![1, 2]);
    assert!(writer().to_bytes().is_ok());
    assert!(writer().u8("t", &[0], vec![]).to_bytes().is_err());
    assert!(writer().u8("u", &[3], vec![1, 2]).to_bytes().is_err());
    assert!(writer().u8("u", &[usize::MAX, 2], vec![1]).to_bytes().is_err());
    assert!(writer().u8("__metadata__", &[0], vec![]).to_bytes().is_err());
}

#[test]
fn own_metadata_keys_cannot_be_overwritten() {
    let bytes = small().metadata("kind", "secret key").to_bytes().unwrap();
    assert!(Container::parse(bytes, "sample", 3).is_ok());
}

#[test]
fn a_stream_gives_what_lies_in_memory_and_every_row_in_its_place() {
    let bytes = small().to_bytes().unwrap();
    let mut stream = ContainerStream::open(Cursor::new(&bytes), "sample", 3).unwrap();
    assert_eq!(stream.header().shapes().count(), 6);
    assert_eq!(stream.tensor("seed").unwrap().u8s().unwrap(), [1, 2, 3, 4, 5]);
    assert!(stream.tensor("limbs").is_err() && stream.tensor("sed").is_err());
    let rows = stream.read_rows(|name, index, row| Ok::<_, ContainerError>((name.to_owned(), index, row.to_vec())));
    let limbs = |index, row: [u8; 3]| ("limbs".to_owned(), index, row.to_vec());
    assert_eq!(rows.unwrap()["limbs"], [limbs(0, [1, 2, 3]), limbs(1, [4, 5, 6])]);
}

#[test]
fn a_stream_of_many_batches_keeps_the_order_of_rows() {
    // Rows of a third of what is read at once, and one that is longer than that.
    let rows: Vec<Vec<u8>> = (0..8).map(|i| vec![i; (4 << 20) / 3]).collect();
    let long = vec![9; (4 << 20) + 1];
    let writer = ContainerWriter::new("k", 1).packed("b", &[8], rows.clone()).packed("a", &[8], vec![long.clone()]);
    let bytes = writer.u8("z", &[1], vec![1]).u8("aa", &[1], vec![2]).to_bytes().unwrap();
    let mut stream = ContainerStream::open(Cursor::new(&bytes), "k", 1).unwrap();
    let read = stream.read_rows(|_, _, row| Ok::<_, ContainerError>(row.to_vec())).unwrap();
    assert!(read["b"] == rows && read["a"] == [long]);
}

#[test]
fn every_changed_byte_and_every_truncation_is_refused_by_a_stream() {
    let bytes = small().to_bytes().unwrap();
    let read = |bytes: &[u8]| -> Result<(), ContainerError> {
        let mut stream = ContainerStream::open(Cursor::new(bytes), "sample", 3)?;
        stream.read_rows(|_, _, _| Ok::<_, ContainerError>(())).map(|_| ())
    };
    assert!(read(&bytes).is_ok());
    for position in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[position] ^= 4;
        assert!(read(&changed).is_err(), "byte {position}");
        assert!(read(&bytes[..position]).is_err());
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(read(&longer).is_err());
}

#[test]
fn damage_is_reported_as_damage_even_where_it_looks_like_something_else() {
    let bytes = small().to_bytes().unwrap();
    let refuse = |bytes: &[u8]| {
        let mut stream = ContainerStream::open(Cursor::new(bytes), "sample", 3).unwrap();
        let odd =
            |_: &str, _: usize, row: &[u8]| if row[0] == 4 { Ok(()) } else { Err(ContainerError::Foreign("row")) };
        stream.read_rows(odd).unwrap_err()
    };
    assert!(matches!(refuse(&bytes), ContainerError::Foreign("row")));
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(matches!(refuse(&changed), ContainerError::Damaged));
}

/// A source that is cut after its length was asked for.
struct Shrinking<'a>(Cursor<&'a [u8]>, usize);

impl Read for Shrinking<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let left = self.1.saturating_sub(self.0.position() as usize).min(out.len());
        self.0.read(&mut out[..left])
    }
}

impl Seek for Shrinking<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_source_that_becomes_shorter_while_it_is_read_is_an_error() {
    let bytes = small().to_bytes().unwrap();
    for length in 0..bytes.len() {
        let source = Shrinking(Cursor::new(&bytes), length);
        let read = ContainerStream::open(source, "sample", 3)
            .and_then(|mut stream| stream.read_rows(|_, _, _| Ok::<_, ContainerError>(())));
        assert!(matches!(read, Err(ContainerError::Unreadable(_))), "{length}");
    }
}

#[test]
fn a_header_length_beyond_the_file_reserves_nothing() {
    let mut bytes = u64::MAX.to_le_bytes().to_vec();
    bytes.extend(b"{}");
    assert!(Container::parse_any(bytes).is_err());
    let mut bytes = (MAX_HEADER as u64).to_le_bytes().to_vec();
    bytes.extend(b"{}");
    assert!(Container::parse_any(bytes).is_err());
}

#[test]
fn an_empty_container_is_fine_and_tensors_may_have_no_element() {
    let bytes = ContainerWriter::new("k", 1).u64("none", &[0, 4], Cow::Borrowed(&[][..])).to_bytes().unwrap();
    let container = Container::parse(bytes, "k", 1).unwrap();
    assert!(container.tensor("none").unwrap().is_empty());
    assert_eq!(container.header().shapes().collect::<Vec<_>>(), [("none", ElementType::U64, &[0, 4][..])]);
}
