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

/// As [`small`], with a digest a row, and a second packed tensor.
fn digested() -> ContainerWriter<'static> {
    ContainerWriter::new("sample", 3)
        .with_row_digests()
        .metadata("job", "a name")
        .u8("zeros", &[5], vec![0; 5])
        .f64("weight", &[1], vec![-0.5])
        .packed("limbs", &[8, 16], vec![vec![1, 2, 3], vec![4, 5, 6], vec![7, 8, 9]])
        .packed("more", &[8], vec![vec![1], vec![2]])
}

/// Reads a container as a whole and as a stream, which must agree on whether it is one.
fn both(bytes: &[u8]) -> Result<BTreeMap<String, Vec<Vec<u8>>>, ContainerError> {
    let whole = Container::parse(bytes, "sample", 3).map(|_| ());
    let streamed = ContainerStream::open(Cursor::new(bytes), "sample", 3)
        .and_then(|mut stream| stream.read_rows(|_, _, row| Ok::<_, ContainerError>(row.to_vec())));
    assert_eq!(whole.is_ok(), streamed.is_ok());
    streamed
}

/// Where a tensor begins in a file.
fn start_of(bytes: &[u8], tensor: &str) -> usize {
    let container = Container::parse(bytes, "sample", 3).unwrap();
    container.tensor(tensor).unwrap().bytes().as_ptr().addr() - bytes.as_ptr().addr()
}

#[test]
fn rows_with_digests_are_read_back_and_lie_behind_everything_else() {
    let bytes = digested().to_bytes().unwrap();
    let rows = both(&bytes).unwrap();
    assert_eq!(rows["limbs"], [[1, 2, 3], [4, 5, 6], [7, 8, 9]]);
    assert_eq!(rows["more"], [[1], [2]]);
    let container = Container::parse(&bytes[..], "sample", 3).unwrap();
    let digests = container.tensor("limbs.digests").unwrap();
    assert_eq!(digests.shape(), [3, 32]);
    assert_eq!(digests.bytes()[32..64], rows::digest(&[4, 5, 6]));
    assert_eq!(start_of(&bytes, "limbs"), bytes.len() - 11);
    assert_eq!(start_of(&bytes, "more"), bytes.len() - 2);
}

#[test]
fn every_changed_byte_truncation_and_extension_is_refused_where_rows_have_digests() {
    let bytes = digested().to_bytes().unwrap();
    for position in 0..bytes.len() {
        for change in [1, 8, 128, 255] {
            let mut changed = bytes.clone();
            changed[position] ^= change;
            assert!(both(&changed).is_err(), "byte {position} changed by {change} is accepted");
        }
        assert!(both(&bytes[..position]).is_err(), "cut at {position}");
    }
    assert!(both(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn a_damaged_row_is_named_and_never_handed_on() {
    let bytes = digested().to_bytes().unwrap();
    let start = start_of(&bytes, "limbs");
    for (position, damaged) in [(0, 0), (2, 0), (3, 1), (8, 2)] {
        let mut changed = bytes.clone();
        changed[start + position] ^= 1;
        let parsed = Container::parse(&changed[..], "sample", 3).unwrap_err();
        let mut stream = ContainerStream::open(Cursor::new(&changed), "sample", 3).unwrap();
        let streamed = stream.read_rows(|name, index, _| {
            assert!(name != "limbs" || index != damaged);
            Ok::<_, ContainerError>(())
        });
        for error in [parsed, streamed.unwrap_err()] {
            let ContainerError::DamagedRow { tensor, row, count: 3 } = &error else { panic!("{error}") };
            assert!(tensor == "limbs" && *row == damaged, "{error}");
            assert!(error.to_string().contains(&format!("row {} of 3", damaged + 1)), "{error}");
        }
    }
}

#[test]
fn exchanged_rows_are_refused_with_and_without_their_digests() {
    let bytes = digested().to_bytes().unwrap();
    let exchange = |bytes: &mut [u8], start: usize, length: usize| {
        let (a, b) = bytes[start..start + 2 * length].split_at_mut(length);
        a.swap_with_slice(b);
    };
    let mut rows = bytes.clone();
    exchange(&mut rows, start_of(&bytes, "limbs"), 3);
    assert!(matches!(both(&rows), Err(ContainerError::DamagedRow { row: 0 | 1, .. })));
    exchange(&mut rows, start_of(&bytes, "limbs.digests"), 32);
    assert!(matches!(both(&rows), Err(ContainerError::Damaged)), "the root holds the order");
}

#[test]
fn a_stream_of_digested_rows_refuses_a_damaged_front_before_any_row_is_read() {
    let bytes = digested().to_bytes().unwrap();
    for tensor in ["zeros", "weight", "limbs.digests"] {
        let mut changed = bytes.clone();
        changed[start_of(&bytes, tensor)] ^= 1;
        let opened = ContainerStream::open(Cursor::new(&changed), "sample", 3);
        assert!(matches!(opened, Err(ContainerError::Damaged)), "{tensor}");
    }
}

/// A packed tensor `t` of two rows whose digests have this content and shape, as no writer makes them unless they are
/// right.
fn with_digests(algorithm: &str, digests: Vec<u8>, shape: &[usize]) -> Result<(), ContainerError> {
    let mut writer = ContainerWriter::new("k", 1).packed("t", &[8], vec![vec![1], vec![2]]);
    writer.metadata.insert(ROW_DIGESTS.to_owned(), algorithm.to_owned());
    Container::parse(writer.u8("t.digests", shape, digests).to_bytes()?, "k", 1).map(|_| ())
}

#[test]
fn digests_of_rows_are_refused_in_any_other_form() {
    let good: Vec<u8> = [1, 2].iter().flat_map(|row| rows::digest(&[*row])).collect();
    assert!(with_digests("sha256", good.clone(), &[2, 32]).is_ok());
    let unknown = with_digests("sha1", good.clone(), &[2, 32]);
    assert!(matches!(unknown, Err(ContainerError::InvalidMetadata { .. })));
    let flat = with_digests("sha256", good.clone(), &[64]);
    assert!(matches!(flat, Err(ContainerError::WrongShape { .. })));
    assert!(with_digests("sha256", good[..32].to_vec(), &[1, 32]).is_err(), "one is missing");
    let wrong = with_digests("sha256", vec![0; 64], &[2, 32]);
    assert!(matches!(wrong, Err(ContainerError::DamagedRow { row: 0, .. })));
}

#[test]
fn the_writer_refuses_packed_tensors_without_the_digests_that_are_announced() {
    let late = ContainerWriter::new("k", 1).packed("t", &[8], vec![vec![1]]).with_row_digests();
    assert!(matches!(late.to_bytes(), Err(ContainerError::Unwritable(_))));
    let none = ContainerWriter::new("k", 1).packed_later("t", &[8], 1, 1);
    let streamed = none.write_streamed(&mut Cursor::new(Vec::new()), |_, sink| sink(&[1]));
    assert!(matches!(streamed, Err(ContainerError::Unwritable(_))));
}

#[test]
fn an_empty_container_is_fine_and_tensors_may_have_no_element() {
    let bytes = ContainerWriter::new("k", 1).u64("none", &[0, 4], Cow::Borrowed(&[][..])).to_bytes().unwrap();
    let container = Container::parse(bytes, "k", 1).unwrap();
    assert!(container.tensor("none").unwrap().is_empty());
    assert_eq!(container.header().shapes().collect::<Vec<_>>(), [("none", ElementType::U64, &[0, 4][..])]);
}
