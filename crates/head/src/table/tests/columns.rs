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
