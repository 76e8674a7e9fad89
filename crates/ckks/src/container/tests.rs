//! Tests of the container: round trips, and every way to refuse.

use super::*;
use std::borrow::Cow;

fn small() -> ContainerWriter<'static> {
    ContainerWriter::new("sample", 3)
        .metadata("job", "a \"quoted\" name")
        .u64("residues", &[2, 3], vec![0, 1, u64::MAX, 7, 8, 9])
        .f64("weight", &[2], vec![-0.5, f64::MIN_POSITIVE])
        .u8("seed", &[5], vec![1, 2, 3, 4, 5])
        .i8("labels", &[3], vec![-1, 0, 1])
        .i64("classes", &[2], vec![i64::MIN, 9])
}

#[test]
fn what_is_written_is_read_back() {
    let bytes = small().to_bytes().unwrap();
    let container = Container::parse(&bytes[..], "sample", 3).unwrap();
    assert_eq!(container.metadata("job").unwrap(), "a \"quoted\" name");
    let residues = container.tensor("residues").unwrap();
    assert_eq!(residues.shape(), [2, 3]);
    assert_eq!(residues.u64s().unwrap().collect::<Vec<_>>(), [0, 1, u64::MAX, 7, 8, 9]);
    let mut middle = [0; 2];
    residues.read_u64_into(2, &mut middle).unwrap();
    assert_eq!(middle, [u64::MAX, 7]);
    assert!(residues.read_u64_into(5, &mut middle).is_err());
    assert!(residues.read_u64_into(usize::MAX, &mut middle).is_err());
    let weight = container.tensor("weight").unwrap().f64s().unwrap();
    assert_eq!(weight.collect::<Vec<_>>(), [-0.5, f64::MIN_POSITIVE]);
    assert_eq!(container.tensor("seed").unwrap().u8s().unwrap(), [1, 2, 3, 4, 5]);
    let labels = container.tensor("labels").unwrap().i8s().unwrap();
    assert_eq!(labels.collect::<Vec<_>>(), [-1, 0, 1]);
    let classes = container.tensor("classes").unwrap().i64s().unwrap();
    assert_eq!(classes.collect::<Vec<_>>(), [i64::MIN, 9]);
}

#[test]
fn the_same_content_gives_the_same_bytes_in_pieces_or_at_once() {
    let parts = [vec![0, 1], vec![], vec![u64::MAX, 7, 8, 9]];
    let pieces = ContainerWriter::new("k", 1).u64_parts("t", &[6], parts);
    let whole = ContainerWriter::new("k", 1).u64("t", &[6], vec![0, 1, u64::MAX, 7, 8, 9]);
    assert_eq!(pieces.to_bytes().unwrap(), whole.to_bytes().unwrap());
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
fn a_newer_version_is_refused_and_an_older_one_read() {
    let bytes = small().to_bytes().unwrap();
    let error = Container::parse(&bytes[..], "sample", 2).unwrap_err();
    assert!(error.to_string().contains("update Ciphertune"), "{error}");
    assert_eq!(Container::parse(&bytes[..], "sample", 9).unwrap().version(), 3);
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
fn a_description_needs_the_header_only() {
    let bytes = small().to_bytes().unwrap();
    let header = usize::from_le_bytes(bytes[..8].try_into().unwrap());
    let description = describe(&mut &bytes[..8 + header]).unwrap();
    assert_eq!((description.kind.as_str(), description.version), ("sample", 3));
    assert_eq!(description.metadata.len(), 1);
    assert_eq!(description.tensors.len(), 5);
    let residues = description.tensors.iter().find(|t| t.name == "residues");
    let residues = residues.unwrap();
    assert_eq!(residues.shape, [2, 3]);
    assert_eq!(residues.bytes, 48);
    assert!(describe(&mut &bytes[..7 + header]).is_err());
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
    assert_eq!(container.tensor_names().collect::<Vec<_>>(), ["none"]);
}
