use std::io::Cursor;

use super::*;

fn archive() -> Vec<u8> {
    let mut writer = Writer::new(Cursor::new(Vec::new()));
    writer.array("features", &[2, 3], Values::F32(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])).unwrap();
    writer.array("labels", &[2], Values::Text(&["ä".to_owned(), "long".to_owned()])).unwrap();
    writer.array("number", &[], Values::I64(&[-7])).unwrap();
    writer.finish().unwrap().into_inner()
}

fn read(bytes: &[u8], name: &str) -> Result<Vec<u8>> {
    Array::open(Cursor::new(bytes), name)?.expect("an array of that name").rest()
}

#[test]
fn what_is_written_is_read_again() {
    let bytes = archive();
    assert_eq!(names(Cursor::new(&bytes)).unwrap(), ["features", "labels", "number"]);
    let features = Array::open(Cursor::new(&bytes), "features").unwrap().unwrap();
    assert_eq!((features.element(), features.shape(), features.descriptor()), (Some(Element::F32), &[2, 3][..], "<f4"));
    assert!(!features.column_major() && !features.big_endian());
    assert_eq!(features.rest().unwrap()[8..12], 3f32.to_le_bytes());
    let labels = Array::open(Cursor::new(&bytes), "labels").unwrap().unwrap();
    assert_eq!((labels.element(), labels.shape()), (Some(Element::Text(4)), &[2][..]));
    let number = Array::open(Cursor::new(&bytes), "number").unwrap().unwrap();
    assert!(number.shape().is_empty());
    assert_eq!(number.rest().unwrap(), (-7i64).to_le_bytes());
    assert!(Array::open(Cursor::new(&bytes), "absent").unwrap().is_none());
}

#[test]
fn values_can_be_taken_piece_by_piece_and_an_array_that_was_not_read_is_not_whole() {
    let bytes = archive();
    let mut array = Array::open(Cursor::new(&bytes), "features").unwrap().unwrap();
    assert_eq!(array.take(8).unwrap().len(), 8);
    assert!(array.finish().unwrap_err().to_string().contains("not read to its end"));
    assert_eq!(array.take(16).unwrap().len(), 16);
    array.finish().unwrap();
    assert!(array.take(1).is_err());
}

#[test]
fn a_damaged_value_is_found_by_the_checksum_and_the_array_is_named() {
    let good = archive();
    let place = good.windows(4).position(|bytes| bytes == 5f32.to_le_bytes()).expect("a value as it was written");
    let mut bad = good.clone();
    bad[place] ^= 1;
    let message = read(&bad, "features").unwrap_err().to_string();
    assert!(message.contains("\"features\"") && message.contains("checksum does not match"), "{message}");
    read(&bad, "labels").expect("the other arrays are whole");
}

#[test]
fn no_damage_is_read_as_something_else_and_none_panics() {
    let good = archive();
    let whole = read(&good, "features").unwrap();
    for place in 0..good.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[place] ^= change;
            let _ = names(Cursor::new(&bad));
            if let Ok(Some(array)) = Array::open(Cursor::new(&bad), "features") {
                let shape = array.shape().to_vec();
                if let Ok(values) = array.rest() {
                    assert!(values == whole && shape == [2, 3], "byte {place}");
                }
            }
        }
        let _ = read_if_there(&good[..place]);
    }
}

fn read_if_there(bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    Array::open(Cursor::new(bytes), "features")?.map(Array::rest).transpose()
}

#[test]
fn headers_as_numpy_writes_them_are_read() {
    let parsed = |text: &str| Header::parse(text).map(|h| (h.element, h.big_endian, h.shape, h.column_major));
    let text = "{'descr': '<i8', 'fortran_order': False, 'shape': (8192,), }   \n";
    assert_eq!(parsed(text), Some((Some(Element::I64), false, vec![8192], false)));
    let text = "{'descr': '>f2', 'fortran_order': True, 'shape': (3, 28, 28), }";
    assert_eq!(parsed(text), Some((Some(Element::F16), true, vec![3, 28, 28], true)));
    let text = "{'descr': '|S5', 'fortran_order': False, 'shape': (), }";
    assert_eq!(parsed(text), Some((Some(Element::Bytes(5)), false, vec![], false)));
    let text = "{'descr': [('a', '<i8')], 'fortran_order': False, 'shape': (3,)}";
    assert_eq!(parsed(text), Some((None, false, vec![3], false)));
    assert_eq!(parsed("{'descr': '<i8', 'shape': (3,)}"), None);
}
