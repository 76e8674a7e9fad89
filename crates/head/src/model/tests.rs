//! Tests of the head: predictions, files and exports.

use super::*;
use prost::Message;

fn classes(names: &[&str]) -> Classes {
    Classes::from_names(names.iter().map(|name| name.to_string()).collect()).unwrap()
}

fn head() -> Head {
    let weight = DMatrix::from_row_slice(3, 2, &[1.0, -2.0, 0.0, 0.5, -1.0, 1.0]);
    Head::new(weight, DVector::from_vec(vec![0.25, 0.0, -0.5]), classes(&["ash", "elm", "oak"])).unwrap()
}

#[test]
fn predictions_carry_the_name_and_probabilities_that_add_up_to_one() {
    let features = DMatrix::from_row_slice(2, 2, &[1.0, 0.0, -1.0, 3.0]);
    assert_eq!(head().logits(&features).unwrap().row(0).iter().copied().collect::<Vec<_>>(), [1.25, 0.0, -1.5]);
    let predictions = head().predict(&features).unwrap();
    assert_eq!((predictions[0].label.as_str(), predictions[1].label.as_str()), ("ash", "oak"));
    let sigmoids = [1.25f64, 0.0, -1.5].map(|z| 1.0 / (1.0 + (-z).exp()));
    for (p, sigmoid) in predictions[0].probabilities.iter().zip(sigmoids) {
        assert!((p - sigmoid / sigmoids.iter().sum::<f64>()).abs() < 1e-15);
    }
    assert!(predictions.iter().all(|row| (row.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-15));
}

#[test]
fn a_head_survives_its_file_with_what_is_known_about_it() {
    for head in [head(), head().mark_published(17.5)] {
        assert_eq!(Head::from_bytes(&head.to_bytes().unwrap()).unwrap(), head);
    }
    let names = ColumnNames::new(vec!["a".into(), "ü \"b\"".into()], Some("kind".into())).unwrap();
    let named = head().with_names(Some(names.clone())).unwrap();
    assert_eq!(Head::from_bytes(&named.to_bytes().unwrap()).unwrap(), named);
    let json: serde_json::Value = serde_json::from_str(&named.to_json()).unwrap();
    assert_eq!((&json["feature_names"][0], &json["label_name"]), (&"a".into(), &"kind".into()));
    let wide = Head::new(DMatrix::zeros(3, 3), DVector::zeros(3), named.classes().clone()).unwrap();
    assert!(wide.with_names(Some(names)).unwrap_err().to_string().contains("3 features with 2 names"));
    let trained = Head { recipe: Some(Recipe::paper(2).unwrap()), ..head() };
    assert_eq!(Head::from_bytes(&trained.to_bytes().unwrap()).unwrap(), trained);
}

#[test]
fn class_names_too_long_for_any_header_are_an_error() {
    let head = Head { classes: classes(&["a", "b", &"c".repeat(20 << 20)]), ..head() };
    assert!(matches!(head.to_bytes(), Err(HeadError::Container(_))));
}

#[test]
fn a_file_that_is_no_head_is_refused() {
    let scaler = Scaler::fit(crate::ScalerKind::Center, None, &DMatrix::zeros(2, 2)).unwrap().to_bytes().unwrap();
    let error = Head::from_bytes(&scaler).unwrap_err();
    assert!(error.to_string().contains("holds scaler, but head is expected"), "{error}");
}

#[test]
fn shapes_and_numbers_that_do_not_fit_are_refused() {
    let bias = DVector::zeros(3);
    assert!(Head::new(DMatrix::zeros(2, 4), bias.clone(), classes(&["a", "b", "c"])).is_err());
    assert!(Head::new(DMatrix::zeros(3, 0), bias.clone(), classes(&["a", "b", "c"])).is_err());
    assert!(Head::new(DMatrix::from_element(3, 1, f64::NAN), bias, classes(&["a", "b", "c"])).is_err());
    let error = head().logits(&DMatrix::zeros(4, 3)).unwrap_err();
    assert!(error.to_string().starts_with("the table has 3 features a row, the head was made for 2"), "{error}");
}

#[test]
fn json_holds_weights_by_class() {
    let json: serde_json::Value = serde_json::from_str(&head().to_json()).unwrap();
    assert_eq!(json["weight"][2], serde_json::json!([-1.0, 1.0]));
    assert_eq!(json["classes"][0], "ash");
    assert_eq!(json["published"], serde_json::Value::Null);
}

#[test]
fn onnx_holds_weights_in_single_precision_and_numbers_as_numbers() {
    let words = onnx_model(&head());
    let graph = words.graph.unwrap();
    assert_eq!(
        graph.node.iter().map(|node| node.op_type.as_str()).collect::<Vec<_>>(),
        ["Gemm", "Neg", "Relu", "Abs", "Neg", "Exp", "Add", "Log", "Add", "Neg", "Softmax", "ArgMax", "Gather"]
    );
    assert_eq!(graph.initializer[0].raw_data[4..8], (-2.0f32).to_le_bytes());
    assert_eq!(graph.initializer[2].string_data[1], b"elm");
    let numbers = Head { classes: classes(&["3", "5", "7"]), ..head() };
    let graph = onnx_model(&numbers).graph.unwrap();
    assert_eq!(graph.initializer[2].raw_data[8..16], 5i64.to_le_bytes());
}

#[test]
fn onnx_refuses_weights_beyond_single_precision() {
    let mut large = head();
    large.weight[(0, 0)] = -1e300;
    assert!(large.to_onnx().unwrap_err().to_string().contains("export JSON"));
}

fn onnx_model(head: &Head) -> onnx::messages::Model {
    onnx::messages::Model::decode(head.to_onnx().unwrap().as_slice()).unwrap()
}
