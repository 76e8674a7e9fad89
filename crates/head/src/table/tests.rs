//! Tests of the tables: formats, labels, header lines, holdout, and what is refused.

mod columns;

use super::*;
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;

fn csv(text: &str) -> Result<FeatureTable> {
    FeatureTable::parse(text.as_bytes(), TableFormat::Csv, LabelColumn::Present)
}

fn message(result: Result<FeatureTable>) -> String {
    result.unwrap_err().to_string()
}

fn labels(table: &FeatureTable) -> Vec<&str> {
    table.labels().unwrap().iter().map(String::as_str).collect()
}

#[test]
fn csv_has_its_label_first_and_whole_numbers_in_one_spelling() {
    let table = csv("3.0,1.5,-2e-3\n 4 , 0.25 ,7\n-1.000e+00,1,2\noak,3,4\n").unwrap();
    assert_eq!(labels(&table), ["3", "4", "-1", "oak"]);
    assert_eq!((table.rows(), table.columns()), (4, 2));
    assert_eq!(table.features().row(0).iter().copied().collect::<Vec<_>>(), [1.5, -0.002]);
    assert_eq!(table.features()[(3, 1)], 4.0);
}

#[test]
fn a_header_line_is_passed_over_in_any_of_its_forms() {
    let eight = "1,2,3,4,5,6,7,8";
    let headers = ["label,f0,f1,f2,f3,f4,f5,f6,f7", "label,0,1,2,3,4,5,6,7", "0,1,2,3,4,5,6,7,8", ",a,b,c,d,e,f,g,h"];
    for header in headers {
        let table = csv(&format!("{header}\n5,{eight}.5\r\n6,{eight}\n")).unwrap();
        assert_eq!(labels(&table), ["5", "6"], "{header}");
    }
    let table = csv("\u{feff}y,a\n1,2\n").unwrap();
    assert_eq!(labels(&table), ["1"]);
    assert_eq!(csv("cat,1\ndog,0\n").unwrap().rows(), 2);
    assert_eq!(csv("7,1,2\n8,3,4\n").unwrap().rows(), 2);
}

#[test]
fn csv_without_labels_is_read_when_asked_for_or_found() {
    let text = b"1,2\n3,4\n";
    let parse = |labels| FeatureTable::parse(text, TableFormat::Csv, labels).unwrap();
    assert_eq!(parse(LabelColumn::Absent).columns(), 2);
    assert_eq!(parse(LabelColumn::Absent).labels(), None);
    assert_eq!(parse(LabelColumn::Detect { features: 2 }).labels(), None);
    let refused = FeatureTable::parse(text, TableFormat::Csv, LabelColumn::Detect { features: 1 });
    let refused = message(refused);
    assert!(
        refused.contains("2 columns, one more than the head has features") && refused.contains("--label"),
        "{refused}"
    );
    let error = FeatureTable::parse(text, TableFormat::Csv, LabelColumn::Detect { features: 5 }).unwrap_err();
    assert!(error.to_string().starts_with("the table has 2 features a row, the head was made for 5"), "{error}");
}

#[test]
fn bad_csv_is_refused_by_line_and_column() {
    assert!(message(csv("1,2,3\n\n4,5\n")).starts_with("line 3 has 2 fields, where 3 are expected"));
    assert!(message(csv("1,2,3\r\n\r\n\r\n1,2,3\r\n4,5\r\n")).starts_with("line 5 has"));
    assert!(message(csv("1,2,3\n4,x,6\n")).starts_with("line 2, column 2: \"x\" is not a number"));
    assert!(message(csv("1,2,3\n4,5,\n")).starts_with("line 2, column 3: \"\" is not a number"));
    assert!(message(csv("1,2,3\n4,NaN,6\n")).starts_with("line 2, column 2: NaN is not a finite number"));
    assert!(message(csv("1,2,-inf\n")).starts_with("line 1, column 3: -inf is not a finite number"));
    assert!(message(csv("0.5,2,3\n")).starts_with("line 1, column 1: \"0.5\" is no label"));
    assert!(message(csv(",2,3\n")).starts_with("line 1, column 1: \"\" is no label"));
    assert!(message(csv("nan,2,3\n")).starts_with("line 1, column 1: \"nan\" is no label"));
    assert_eq!(message(csv("")), "the table has no rows: give it at least one");
    assert_eq!(message(csv("label,a,b\n")), "the table has no rows: give it at least one");
    assert_eq!(message(csv("1\n2\n")), "the table has no features: give it at least one");
    assert!(message(csv("# exported\n1,2,3\n")).contains("line 1 begins with #, so it is a comment"));
    let utf16: Vec<u8> = "\u{feff}1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [&utf16[..], &utf16[2..]] {
        assert!(message(FeatureTable::parse(bytes, TableFormat::Csv, LabelColumn::Present)).contains("UTF-16"));
    }
    let not_text = FeatureTable::parse(b"1,2\n1,\xff\n", TableFormat::Csv, LabelColumn::Present);
    assert!(message(not_text).starts_with("line 2, column 2:"));
}

#[test]
fn csv_fields_may_be_separated_by_semicolons_with_decimal_commas_or_by_tabs() {
    let expected = DMatrix::from_row_slice(2, 2, &[0.5, -1.25, 3.0, 4.0]);
    for text in
        ["a;0,5;-1,25\nb;3;4\n", "a;0.5;-1.25\nb;3;4\n", "l;x;y\na;0,5;-1,25\nb;3,0;4\n", "a\t0.5\t-1.25\nb\t3\t4\n"]
    {
        let table = csv(text).unwrap();
        assert_eq!((table.features(), labels(&table)), (&expected, vec!["a", "b"]), "{text}");
    }
    // A semicolon in a word separates nothing.
    assert_eq!(labels(&csv("a;b,1\nc,2\n").unwrap()), ["a;b", "c"]);
}

/// An `.npy` file as NumPy writes it.
fn npy(descriptor: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut header = format!("{{'descr': '{descriptor}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

fn npz(arrays: &[(&str, Vec<u8>)], method: zip::CompressionMethod) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        archive.start_file(format!("{name}.npy"), SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn stored(arrays: &[(&str, Vec<u8>)]) -> Result<FeatureTable> {
    FeatureTable::parse(&npz(arrays, zip::CompressionMethod::Stored), TableFormat::Npz, LabelColumn::Present)
}

fn bytes<const N: usize>(values: &[f64], encode: impl Fn(f64) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| encode(value)).collect()
}

#[test]
fn npz_features_come_in_every_width_order_and_endianness() {
    let rows = [1.0, 2.0, 3.0, 4.0, 5.0, -6.5];
    let columns = [1.0, 4.0, 2.0, 5.0, 3.0, -6.5];
    let half = |x: f64| half::f16::from_f64(x).to_le_bytes();
    let features = [
        npy("<f2", false, "(2, 3)", &bytes(&rows, half)),
        npy("<f4", false, "(2, 3)", &bytes(&rows, |x| (x as f32).to_le_bytes())),
        npy("<f8", false, "(2, 3)", &bytes(&rows, f64::to_le_bytes)),
        npy(">f8", false, "(2, 3)", &bytes(&rows, f64::to_be_bytes)),
        npy("<f8", true, "(2, 3)", &bytes(&columns, f64::to_le_bytes)),
    ];
    let expected = DMatrix::from_row_slice(2, 3, &rows);
    for features in features {
        for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
            let file = npz(&[("features", features.clone()), ("labels", npy("|u1", false, "(2,)", &[7, 255]))], method);
            let table = FeatureTable::parse(&file, TableFormat::Npz, LabelColumn::Present).unwrap();
            assert_eq!(table.features(), &expected);
            assert_eq!(labels(&table), ["7", "255"]);
        }
    }
}

#[test]
fn npz_labels_are_integers_of_any_width_and_may_be_left_out() {
    let features = || npy("<f4", false, "(2, 1)", &[0; 8]);
    let with = |labels| stored(&[("features", features()), ("labels", labels)]);
    let big = npy(">i4", false, "(2, 1)", &[(-5i32).to_be_bytes(), 9i32.to_be_bytes()].concat());
    assert_eq!(labels(&with(big).unwrap()), ["-5", "9"]);
    let halves = npy("<f4", false, "(2,)", &[1f32.to_le_bytes(), 1.5f32.to_le_bytes()].concat());
    assert!(message(with(halves)).starts_with("the array `labels` is <f4 of shape (2): these are no whole numbers"));
    let empty = npy("<U3", false, "(2,)", &[0; 24]);
    assert!(message(with(empty)).contains("a label is empty"));
    let three = npy("|i1", false, "(3,)", &[0; 3]);
    assert!(message(with(three)).starts_with("the table has 2 rows of features but 3 labels"));
    assert!(message(stored(&[("features", features())])).starts_with("the file has no array `labels`, only features"));
    let file = npz(&[("features", features())], zip::CompressionMethod::Stored);
    let table = FeatureTable::parse(&file, TableFormat::Npz, LabelColumn::Detect { features: 1 }).unwrap();
    assert_eq!(table.labels(), None);
}

#[test]
fn npz_labels_may_be_words_whole_floats_or_one_hot_rows() {
    let with = |array| stored(&[("features", npy("<f4", false, "(2, 1)", &[0; 8])), ("labels", array)]);
    let found = |array| {
        let table = with(array).unwrap();
        labels(&table).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let wide = |word: &str, order: fn(u32) -> [u8; 4]| {
        let mut characters: Vec<u32> = word.chars().map(u32::from).collect();
        characters.resize(3, 0);
        characters.into_iter().flat_map(order).collect::<Vec<u8>>()
    };
    let words = [wide("äx", u32::to_le_bytes), wide("bee", u32::to_le_bytes)].concat();
    assert_eq!(found(npy("<U3", false, "(2,)", &words)), ["äx", "bee"]);
    let words = [wide("äx", u32::to_be_bytes), wide("bee", u32::to_be_bytes)].concat();
    assert_eq!(found(npy(">U3", false, "(2,)", &words)), ["äx", "bee"]);
    assert_eq!(found(npy("|S3", false, "(2,)", b"a\0\0bee")), ["a", "bee"]);
    let floats = [3f64.to_le_bytes(), (-1f64).to_le_bytes()].concat();
    assert_eq!(found(npy("<f8", false, "(2, 1)", &floats)), ["3", "-1"]);
    assert_eq!(found(npy("|u1", false, "(2, 3)", &[0, 0, 1, 1, 0, 0])), ["2", "0"]);
    assert_eq!(found(npy("|b1", true, "(2, 3)", &[0, 1, 0, 0, 1, 0])), ["2", "0"]);
    for rows in [[0, 0, 0, 1, 0, 0], [1, 1, 0, 1, 0, 0], [2, 0, 0, 1, 0, 0]] {
        assert!(message(with(npy("|u1", false, "(2, 3)", &rows))).contains("a single 1"));
    }
    assert!(message(with(npy("|S0", false, "(2,)", &[]))).contains("2 rows of features but 0 labels"));
}

#[test]
fn npz_arrays_may_have_the_names_of_other_programs() {
    for (features, labels_name) in [("X", "y"), ("x", "y"), ("arr_0", "arr_1")] {
        let arrays =
            [(features, npy("<f4", false, "(2, 1)", &[0; 8])), (labels_name, npy("|i1", false, "(2,)", &[4, 5]))];
        assert_eq!(labels(&stored(&arrays).unwrap()), ["4", "5"]);
        assert!(message(stored(&arrays[..1])).contains(labels_name));
    }
    let found = message(stored(&[("a", npy("<f4", false, "(2, 1)", &[0; 8]))]));
    assert!(found.contains("only a") && found.contains("X and y"), "{found}");
}

#[test]
fn npz_archives_may_hold_parts_to_train_and_to_test_on() {
    let part = |value: u8| npy("|u1", false, "(2, 1)", &[value; 2]);
    let arrays = [
        ("x_train", part(1)),
        ("y_train", npy("|u1", false, "(2,)", &[0, 1])),
        ("x_test", part(2)),
        ("y_test", npy("|u1", false, "(2, 1)", &[1, 0])),
    ];
    let bytes = npz(&arrays, zip::CompressionMethod::Stored);
    let read = |split| {
        let part = Part { split, ..Part::default() };
        FeatureTable::parse_part(&bytes, TableFormat::Npz, LabelColumn::Present, &part)
    };
    assert_eq!(read(None).unwrap(), read(Some(Split::Train)).unwrap());
    let test = read(Some(Split::Test)).unwrap();
    assert_eq!((test.features()[(0, 0)], labels(&test)), (2.0, vec!["1", "0"]));
    assert!(message(read(Some(Split::Validation))).contains("no part called validation, only x_test"));
    let part = Part { split: Some(Split::Test), ..Part::default() };
    let csv = FeatureTable::parse_part(b"1,2\n", TableFormat::Csv, LabelColumn::Present, &part);
    assert!(message(csv).contains("--split"));
}

#[test]
fn bad_npz_is_refused_without_a_panic() {
    let labels = || ("labels", npy("|i1", false, "(2,)", &[0, 1]));
    let features = |array| message(stored(&[("features", array), labels()]));
    assert!(features(npy("<f4", false, "(2, 1)", &[0; 7])).contains("shorter than its shape"));
    assert!(features(npy("<f4", false, "(4294967296, 4294967296, 99)", &[0; 8])).contains("larger than any file"));
    assert!(features(npy("<f4", false, "(99999999999, 9)", &[0; 8])).contains("shorter than its shape"));
    assert!(features(npy("<f4", false, "(2,)", &[0; 8])).contains("two axes"));
    assert!(features(npy("<c8", false, "(2, 1)", &[0; 16])).contains("save features as float16"));
    assert!(features(npy("<f4", false, "(0, 3)", &[])).contains("has no rows"));
    assert!(features(npy("<f4", false, "2", &[])).contains("no valid header"));
    assert!(features(b"not an array".to_vec()).contains("no .npy array"));
    let nan = npy("<f4", false, "(2, 1)", &[0, 0, 128, 63, 0, 0, 192, 127]);
    assert!(features(nan).starts_with("row 2, feature 1: NaN is not a finite number"));
    assert!(message(stored(&[labels()])).starts_with("the file has no array `features`, only labels"));
    let parse = |bytes: &[u8]| FeatureTable::parse(bytes, TableFormat::Npz, LabelColumn::Present);
    assert!(message(parse(b"no archive")).starts_with("the file is not a readable npz file"));
    let good = npz(&[("features", npy("<f4", false, "(2, 1)", &[0; 8])), labels()], zip::CompressionMethod::Deflated);
    assert!(parse(&good).is_ok());
    for length in 0..good.len() {
        assert!(parse(&good[..length]).is_err());
    }
    // A change may go unnoticed, for example in a date, but must not panic.
    for position in 0..good.len() {
        for change in [1, 8, 128, 255] {
            let mut changed = good.clone();
            changed[position] ^= change;
            let _ = parse(&changed);
        }
    }
}

#[test]
fn safetensors_features_come_in_every_width() {
    use ::safetensors::{Dtype, serialize, tensor::TensorView};
    let values = [1.0, -2.0, 0.5, 4.0];
    let encoded = [
        (Dtype::F16, bytes(&values, |x| half::f16::from_f64(x).to_le_bytes())),
        (Dtype::BF16, bytes(&values, |x| half::bf16::from_f64(x).to_le_bytes())),
        (Dtype::F32, bytes(&values, |x| (x as f32).to_le_bytes())),
        (Dtype::F64, bytes(&values, f64::to_le_bytes)),
    ];
    for (dtype, data) in encoded {
        let label_bytes = [3i16.to_le_bytes(), (-4i16).to_le_bytes()].concat();
        let features = TensorView::new(dtype, vec![2, 2], &data).unwrap();
        let label_view = TensorView::new(Dtype::I16, vec![2], &label_bytes).unwrap();
        let file = serialize([("features", features), ("labels", label_view)], None).unwrap();
        let table = FeatureTable::parse(&file, TableFormat::Safetensors, LabelColumn::Present).unwrap();
        assert_eq!(table.features(), &DMatrix::from_row_slice(2, 2, &values));
        assert_eq!(labels(&table), ["3", "-4"]);
        for length in 0..file.len() {
            assert!(FeatureTable::parse(&file[..length], TableFormat::Safetensors, LabelColumn::Present).is_err());
        }
    }
}

#[test]
fn npz_numbers_that_do_not_match_the_archives_checksum_are_refused_and_their_array_named() {
    for damaged in ["features", "labels"] {
        let values = if damaged == "features" { [9, 9, 9, 9] } else { [1, 2, 3, 4] };
        let arrays = [
            ("features", npy("|u1", false, "(4, 1)", &[9, 9, 9, 9])),
            ("labels", npy("|u1", false, "(4,)", &[1, 2, 3, 4])),
        ];
        let mut bytes = npz(&arrays, zip::CompressionMethod::Stored);
        let place = bytes.windows(4).position(|found| found == values).expect("values as they were written");
        bytes[place] ^= 1;
        let message = FeatureTable::parse(&bytes, TableFormat::Npz, LabelColumn::Present).unwrap_err().to_string();
        assert!(message.contains("checksum") && message.contains(damaged), "{message}");
    }
}

#[test]
fn npz_features_may_be_integers_and_labels_booleans() {
    let parse = |features, label_bytes: &[u8]| {
        stored(&[("features", features), ("labels", npy("|b1", false, "(2,)", label_bytes))]).unwrap()
    };
    let table = parse(npy("|i1", false, "(2, 2)", &[1, 0xff, 3, 4]), &[0, 1]);
    assert_eq!(table.features(), &DMatrix::from_row_slice(2, 2, &[1.0, -1.0, 3.0, 4.0]));
    assert_eq!(labels(&table), ["0", "1"]);
    let wide = [-7i64, i64::from(u32::MAX)].map(i64::to_le_bytes).concat();
    assert_eq!(parse(npy("<i8", false, "(2, 1)", &wide), &[1, 0]).features().as_slice(), [-7.0, 4294967295.0]);
    let big = [258u16, 1].map(u16::to_be_bytes).concat();
    assert_eq!(parse(npy(">u2", false, "(2, 1)", &big), &[1, 0]).features().as_slice(), [258.0, 1.0]);
    assert_eq!(parse(npy("|b1", false, "(2, 1)", &[1, 0]), &[1, 0]).features().as_slice(), [1.0, 0.0]);
}

#[test]
fn written_tables_are_read_back_with_words_and_provenance() {
    let provenance = Provenance { backbone: "b".into(), digest: "00".into(), preprocess: "{}".into() };
    for (names, value) in [(["oak", "elm", "oak"], 0.1f64), (["10", "-3", "10"], 0.5), (["007", "7", "7"], 2.0)] {
        let features = DMatrix::from_row_slice(3, 2, &[value, -1.0, 2.0, 3.5, 0.0, 1.0]);
        let table = FeatureTable::new(features, Some(names.map(str::to_owned).to_vec())).unwrap();
        let table = table.with_provenance(provenance.clone());
        let bytes = table.to_safetensors().unwrap();
        assert_eq!(bytes, table.to_safetensors().unwrap());
        assert_eq!(FeatureTable::parse(&bytes, TableFormat::Safetensors, LabelColumn::Present).unwrap(), table);
        for length in 0..bytes.len() {
            assert!(FeatureTable::parse(&bytes[..length], TableFormat::Safetensors, LabelColumn::Present).is_err());
        }
    }
    let unlabelled = FeatureTable::new(DMatrix::from_element(1, 1, 1.0), None).unwrap();
    let bytes = unlabelled.to_safetensors().unwrap();
    assert_eq!(FeatureTable::parse(&bytes, TableFormat::Safetensors, LabelColumn::Absent).unwrap(), unlabelled);
}

#[test]
fn formats_go_by_extension() {
    assert_eq!(TableFormat::from_extension("NPZ").unwrap(), TableFormat::Npz);
    let error = TableFormat::from_extension("parquet").unwrap_err();
    assert!(error.to_string().contains("not .parquet: convert it"), "{error}");
}

#[test]
fn a_holdout_is_stratified_repeatable_and_keeps_the_order() {
    let features = DMatrix::from_fn(50, 1, |i, _| i as f64);
    let names = (0..50).map(|i| if i < 40 { "a" } else { "b" }.to_owned()).collect();
    let table = FeatureTable::new(features, Some(names)).unwrap();
    let (train, test) = table.split_holdout(0.2, 7).unwrap();
    assert_eq!((train.rows(), test.rows()), (40, 10));
    assert_eq!(labels(&test).iter().filter(|label| **label == "b").count(), 2);
    let order: Vec<f64> = test.features().iter().copied().collect();
    assert!(order.is_sorted());
    let mut all: Vec<f64> = train.features().iter().chain(test.features()).copied().collect();
    all.sort_by(f64::total_cmp);
    assert_eq!(all, (0..50).map(f64::from).collect::<Vec<_>>());
    assert_eq!(table.split_holdout(0.2, 7).unwrap().1, test);
    assert_ne!(table.split_holdout(0.2, 8).unwrap().1, test);
    for fraction in [0.0, 1.0, -0.5, 0.001, f64::NAN] {
        assert!(matches!(table.split_holdout(fraction, 7), Err(HeadError::EmptyHoldout { .. })), "{fraction}");
    }
    let (train, _) = table.split_holdout(0.99, 7).unwrap();
    assert_eq!(labels(&train), ["a", "b"]);
}
