//! Tests of columns: chosen by name or number, named, and found again by a head's names.

use super::*;
use crate::column_names::MAX_CHARACTERS;

fn read(text: &str, labels: LabelColumn, columns: Columns) -> Result<FeatureTable> {
    let part = Part { columns, ..Part::default() };
    FeatureTable::parse_part(text.as_bytes(), TableFormat::Csv, labels, &part)
}

fn names(features: &[&str], label: Option<&str>) -> ColumnNames {
    let features = features.iter().map(|name| (*name).to_owned()).collect();
    ColumnNames::new(features, label.map(str::to_owned)).unwrap()
}

#[test]
fn csv_columns_are_chosen_by_name_or_number() {
    let chosen = |text: &str, label: Option<&str>, drop: &[&str]| {
        let drop = drop.iter().map(|name| (*name).to_owned()).collect();
        let columns = Columns { label: label.map(str::to_owned), drop, known: None };
        read(text, LabelColumn::Present, columns)
    };
    let text = "id,f0,f1,kind\n10,0.5,1.5,x\n11,2.5,3.5,y\n";
    let expected = DMatrix::from_row_slice(2, 2, &[0.5, 1.5, 2.5, 3.5]);
    for (label, drop) in [("kind", "id"), ("4", "1"), ("kind", "1")] {
        let table = chosen(text, Some(label), &[drop]).unwrap();
        assert_eq!((table.features(), labels(&table)), (&expected, vec!["x", "y"]), "{label} {drop}");
    }
    let table = chosen("0.5,1\n2.5,0\n", Some("2"), &[]).unwrap();
    assert_eq!((table.features().as_slice(), labels(&table)), (&[0.5, 2.5][..], vec!["1", "0"]));
    let wrong = message(chosen("id,f0,kind\n1,x,a\n", Some("kind"), &["id"]));
    assert!(wrong.starts_with("line 2, column 2: \"x\""), "{wrong}");
    assert!(message(chosen(text, Some("sort"), &[])).contains("id, f0, f1, kind"));
    assert!(message(chosen(text, Some("5"), &[])).contains("from 1 to 4"));
    assert!(message(chosen(text, Some("kind"), &["4"])).contains("cannot be dropped"));
    assert!(message(csv("0.5,1\n")).contains("--label"));
    let numbered: String = (0..8).map(|row| format!("{row},{},1\n", row % 2)).collect();
    let refused = |table: FeatureTable| table.refuse_row_numbers().is_err();
    assert!(refused(csv(&numbered).unwrap()) && !refused(csv(&numbered[6..]).unwrap()));
    assert!(
        chosen(&numbered, Some("2"), &["1"]).is_ok_and(|table| !refused(table))
            && chosen(&numbered, Some("2"), &["1"]).is_ok()
    );
}

#[test]
fn csv_names_are_kept_with_the_features_that_are_taken() {
    let named = |text, columns| read(text, LabelColumn::Present, columns).unwrap().names().cloned();
    let text = "id, f0 ,\"f,1\",kind\n10,0.5,1.5,x\n11,2.5,3.5,y\n";
    let columns = Columns { label: Some("kind".into()), drop: vec!["id".into()], known: None };
    assert_eq!(named(text, columns), Some(names(&["f0", "f,1"], Some("kind"))));
    assert_eq!(named("y;a;b\n1;0,5;2\n", Columns::default()), Some(names(&["a", "b"], Some("y"))));
    assert_eq!(named(",a\nx,1\n", Columns::default()), Some(names(&["a"], None)));
    // Numbers that count the columns are no names, and a row has none.
    assert_eq!(named("label,0,1,2\n5,1.5,2,3\n", Columns::default()), None);
    assert_eq!(named("5,1.5,2,3\n", Columns::default()), None);
    let unlabelled = read("a,b\n1,2\n", LabelColumn::Absent, Columns::default()).unwrap();
    assert_eq!(unlabelled.names(), Some(&names(&["a", "b"], None)));
    assert_eq!(unlabelled.select(&[0]).names(), unlabelled.names());

    let long = format!("y,{}\n1,2\n", "n".repeat(MAX_CHARACTERS + 1));
    assert!(message(csv(&long)).contains("256 characters"));
    let latin = FeatureTable::parse(b"y,a,gr\xf6\xdfe\n1,2,3\n", TableFormat::Csv, LabelColumn::Present);
    assert!(message(latin).contains("column 3"));
}

#[test]
fn a_label_is_found_by_the_name_that_a_head_knows_wherever_it_stands() {
    let known = names(&["a", "b"], Some("kind"));
    let with = |text: &str, labels, known: &ColumnNames| {
        read(text, labels, Columns { known: Some(known.clone()), ..Columns::default() })
    };
    let detect = LabelColumn::Detect { features: 2 };
    let expected = DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 3.0, 4.0]);
    for text in ["kind,a,b\n7,1,2\n8,3,4\n", "a,kind,b\n1,7,2\n3,8,4\n", "a,b,kind\n1,2,7\n3,4,8\n"] {
        for mode in [detect, LabelColumn::Present] {
            let table = with(text, mode, &known).unwrap();
            assert_eq!((table.features(), labels(&table)), (&expected, vec!["7", "8"]), "{text}");
            assert_eq!(table.names(), Some(&known));
        }
    }
    let unlabelled = with("a,b\n1,2\n3,4\n", detect, &known).unwrap();
    assert_eq!((unlabelled.features(), unlabelled.labels()), (&expected, None));
    // Another column too many is no label.
    let other = message(with("a,id,b\n1,7,2\n3,8,4\n", detect, &known));
    assert!(other.contains("feature 2 is \"id\"") && other.contains("--drop"), "{other}");
    // What is asked for goes before what is known.
    let columns = Columns { label: Some("a".into()), drop: vec!["kind".into()], known: Some(known.clone()) };
    assert_eq!(labels(&read("a,b,kind\n1,2,7\n", LabelColumn::Present, columns).unwrap()), ["1"]);
    // A feature called as the label is a feature, two columns of the label's name are none, and a row has no names.
    let same = names(&["kind", "b"], Some("kind"));
    assert_eq!(with("kind,b\n1,2\n", detect, &same).unwrap().labels(), None);
    assert!(with("kind,kind,b\n1,2,3\n", detect, &known).is_err());
    assert_eq!(labels(&with("kind,1,2\nother,3,4\n", detect, &known).unwrap()), ["kind", "other"]);
}

#[test]
fn one_column_more_than_features_is_a_label_only_if_it_holds_words() {
    let detect = |text| read(text, LabelColumn::Detect { features: 2 }, Columns::default());
    assert_eq!(labels(&detect("oak,1,2\nelm,3,4\n").unwrap()), ["oak", "elm"]);
    assert_eq!(labels(&detect("kind,a,b\noak,1,2\nelm,3,4\n").unwrap()), ["oak", "elm"]);
    for text in ["0,1,2\n1,3,4\n", "1,2,0\n3,4,1\n", "kind,a,b\n0,1,2\n", "a,b,kind\n1,2,0\n", "0.5,1.5,1\n"] {
        let refused = message(detect(text));
        assert!(
            refused.contains("3 columns") && refused.contains("--label") && refused.contains("--drop"),
            "{refused}"
        );
    }
    let last = message(detect("1,2,oak\n3,4,elm\n"));
    assert!(last.contains("--label 3") && last.contains("--drop 3"), "{last}");
    let columns = || Columns { label: Some("3".into()), ..Columns::default() };
    let labelled = read("1,2,0\n3,4,1\n", LabelColumn::Detect { features: 2 }, columns()).unwrap();
    assert_eq!((labels(&labelled), labelled.features()[(1, 1)]), (vec!["0", "1"], 4.0));
    let columns = Columns { drop: vec!["3".into()], ..Columns::default() };
    assert_eq!(read("1,2,0\n3,4,1\n", LabelColumn::Detect { features: 2 }, columns).unwrap().labels(), None);
}

#[test]
fn npz_and_safetensors_have_names_too() {
    let word = |text: &str| {
        text.bytes().chain(*b"\0\0").take(2).flat_map(|byte| u32::from(byte).to_le_bytes()).collect::<Vec<_>>()
    };
    let features = || ("features", npy("<f4", false, "(2, 2)", &[0; 16]));
    let with = |array| stored(&[features(), ("labels", npy("|i1", false, "(2,)", &[0, 1])), ("feature_names", array)]);
    let table = with(npy("<U2", false, "(2,)", &[word("a"), word("b2")].concat())).unwrap();
    assert_eq!(table.names(), Some(&names(&["a", "b2"], None)));
    assert!(message(with(npy("<U2", false, "(1,)", &word("a")))).contains("2 features and 1 names"));
    assert!(message(with(npy("|O", false, "(2,)", &[]))).contains("feature_names"));

    let table = table.with_names(names(&["ä", "b"], Some("kind"))).unwrap();
    let written = table.to_safetensors().unwrap();
    let read = |bytes: &[u8]| FeatureTable::parse(bytes, TableFormat::Safetensors, LabelColumn::Present);
    assert_eq!(read(&written).unwrap(), table);
    // As another program writes them.
    let view = |dtype, shape, bytes| ::safetensors::tensor::TensorView::new(dtype, shape, bytes).unwrap();
    let tensors = || {
        [
            ("features", view(::safetensors::Dtype::F32, vec![2, 2], &[0; 16])),
            ("labels", view(::safetensors::Dtype::U8, vec![2], &[0, 1])),
        ]
    };
    let foreign = |text: &str| {
        let metadata = [("feature_names", text), ("label_name", "kind")].map(|(key, value)| (key.into(), value.into()));
        read(&::safetensors::serialize(tensors(), Some(metadata.into())).unwrap())
    };
    assert_eq!(foreign("[\"ä\", \"b\"]").unwrap().names(), table.names());
    assert!(message(foreign("[\"a\"]")).contains("2 features and 1 feature_names"));
    assert!(message(foreign("a, b")).contains("no JSON list"));
}

#[test]
fn text_is_read_by_the_separators_that_are_found() {
    let expected = DMatrix::from_row_slice(2, 2, &[0.5, 1.5, 2.5, -3.0]);
    for text in [
        "1 0.5 1.5\n2 2.5 -3\n",
        "  1   0.5 1.5\r\n\r\n  2   2.5  -3.0\r\n",
        "# y a b\n1.000e+00 5.000e-01 1.500e+00\n2.0e+00 2.5e+00 -3.0e+00\n",
        "1,0;0,5;1,5\n2,0;2,5;-3\n",
    ] {
        let table = csv(text).unwrap();
        assert_eq!((table.features(), labels(&table)), (&expected, vec!["1", "2"]), "{text}");
    }
    assert_eq!(csv("# y a b\n1 2 3\n").unwrap().names(), Some(&names(&["a", "b"], Some("y"))));
    assert_eq!(TableFormat::from_extension("TXT").unwrap(), TableFormat::Csv);
}

#[test]
fn comments_are_called_comments_wherever_they_stand() {
    for (text, line) in [
        ("# made by x, 2026\n1,2,3\n", 1),
        ("#1,2,3\n4,5,6\n", 1),
        ("# exported\n1,2,3\n", 1),
        ("1,2,3\n# half,of it\n4,5,6\n", 2),
        ("1,2,3\n#4,x,6\n", 2),
        ("1 2 3\n# 4 5\n", 2),
    ] {
        let refused = message(csv(text));
        assert!(refused.starts_with(&format!("line {line} begins with #, so it is a comment")), "{text}: {refused}");
    }
    // A word may begin so.
    assert_eq!(labels(&csv("a,2,3\n#b,5,6\n").unwrap()), ["a", "#b"]);
}

#[test]
fn a_word_among_numbers_is_named_with_its_column() {
    for (text, parts) in [
        ("0,5;cat;1,5\n2,5;dog;3,5\n", ["line 1, column 1: \"0,5\"", "--label", "such as 2", "--drop"]),
        ("1;cat;1,5\n2;dog;3,5\n", ["line 1, column 2: \"cat\"", "--label 2", "--drop 2", "is not a number"]),
        ("1;2;x\n1,5;cat;3\n", ["line 1, column 3: \"x\"", "--label 3", "--drop 3", "is not a number"]),
        ("1,5;2;3\n", ["line 1, column 1: \"1,5\"", "is no label", "--label", "--drop"]),
    ] {
        let refused = message(csv(text));
        assert!(parts.iter().all(|part| refused.contains(part)), "{text}: {refused}");
    }
    assert!(message(csv("1;0,5\n1,5;2\n")).starts_with("line 2, column 1: \"1,5\" is no label"));
}

#[test]
fn a_lone_pair_of_arrays_may_have_any_names() {
    let matrix = || npy("<f4", false, "(2, 1)", &[0; 8]);
    let list = || npy("|i1", false, "(2,)", &[4, 5]);
    assert_eq!(labels(&stored(&[("embeddings", matrix()), ("target", list())]).unwrap()), ["4", "5"]);
    let longer = npy("|i1", false, "(3,)", &[4, 5, 6]);
    let beside =
        [("data", matrix()), ("target", list()), ("ids", longer), ("version", npy("<U1", false, "()", b"1\0\0\0"))];
    assert_eq!(labels(&stored(&beside).unwrap()), ["4", "5"]);
    for ambiguous in [
        vec![("a", matrix()), ("b", list()), ("c", list())],
        vec![("a", matrix()), ("b", matrix()), ("c", list())],
        vec![("a", list()), ("b", list())],
        vec![("a", matrix())],
    ] {
        let names = ambiguous.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let refused = message(stored(&ambiguous));
        assert!(refused.contains(&format!("only {names}")) && refused.contains("`features` and `labels`"), "{refused}");
    }
    let unlabelled = npz(&[("a", matrix())], zip::CompressionMethod::Stored);
    let table = FeatureTable::parse(&unlabelled, TableFormat::Npz, LabelColumn::Detect { features: 1 }).unwrap();
    assert_eq!((table.columns(), table.labels()), (1, None));
}

#[test]
fn tables_survive_an_archive_of_arrays() {
    for (labels, value) in [(["oak", "ä b", "oak"], 0.1f64), (["10", "-3", "10"], 0.5), (["007", "7", "7"], 2.0)] {
        let features = DMatrix::from_row_slice(3, 2, &[value, -1.0, 2.0, 3.5, 0.0, 1.0]);
        let table = FeatureTable::new(features, Some(labels.map(str::to_owned).to_vec())).unwrap();
        for table in [table.clone(), table.with_names(names(&["a", "ü"], None)).unwrap()] {
            let bytes = table.to_npz().unwrap();
            assert_eq!(FeatureTable::parse(&bytes, TableFormat::Npz, LabelColumn::Present).unwrap(), table);
        }
    }
    let unlabelled = FeatureTable::new(DMatrix::from_element(1, 1, 1.0), None).unwrap();
    let bytes = unlabelled.to_npz().unwrap();
    assert_eq!(FeatureTable::parse(&bytes, TableFormat::Npz, LabelColumn::Absent).unwrap(), unlabelled);
}
