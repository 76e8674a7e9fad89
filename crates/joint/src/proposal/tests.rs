//! Tests of proposals: one spelling, what is refused, fingerprints, tables.

use super::*;
use crate::identity::Identity;
use ciphertune_head::DMatrix;
use ciphertune_head::recipe::{Preset, RecipeOverrides};

fn member(role: Role, name: &str) -> Member {
    Member { role, card: Identity::generate(name).unwrap().card() }
}

fn contents(owners: usize) -> Contents {
    Contents {
        title: "three clinics".to_owned(),
        mode: Mode::SecureSum,
        members: (0..owners).map(|k| member(Role::Rows, &format!("owner-{k}"))).collect(),
        features: Features { count: 3, names: None, provenance: None },
        scaler: PooledScaler { kind: ScalerKind::Whiten, lambda: None },
        training: Some(Training {
            classes: vec!["a".to_owned(), "b".to_owned()],
            recipe: Recipe::default_for(2).unwrap(),
            plan: None,
            compare_ids: false,
        }),
        accept_disclosure: false,
        deadline: 2_000_000_000,
    }
}

fn refused(change: impl FnOnce(&mut Contents)) -> String {
    let mut contents = contents(3);
    change(&mut contents);
    Proposal::new(contents).unwrap_err().to_string()
}

#[test]
fn a_proposal_survives_its_text_and_other_spellings_of_it_are_refused() {
    let proposal = Proposal::new(contents(3)).unwrap();
    let json = proposal.to_json();
    assert_eq!(Proposal::from_json(&json).unwrap(), proposal);
    let text = String::from_utf8(json).unwrap();
    let swapped =
        text.replacen("\"format\":1,\"title\":\"three clinics\"", "\"title\":\"three clinics\",\"format\":1", 1);
    assert_ne!(swapped, text);
    for other in [format!("{text}\n"), text.replacen(':', ": ", 1), swapped, text.replacen("2000000000", "2e9", 1)] {
        assert!(matches!(Proposal::from_json(other.as_bytes()), Err(JointError::Document { .. })), "{other}");
    }
    let unknown = text.replacen("{\"format\"", "{\"colour\":1,\"format\"", 1);
    assert!(Proposal::from_json(unknown.as_bytes()).unwrap_err().to_string().contains("colour"));
    let newer = text.replacen("\"format\":1", "\"format\":2", 1);
    assert!(Proposal::from_json(newer.as_bytes()).unwrap_err().to_string().contains("format 2"));
    assert!(Proposal::from_json(&vec![b' '; MAX_BYTES + 1]).is_err());
}

#[test]
fn a_fingerprint_has_sixteen_digits_and_changes_with_every_key_in_the_roster() {
    let proposal = Proposal::new(contents(3)).unwrap();
    let fingerprint = proposal.fingerprint();
    assert_eq!(fingerprint.len(), 19);
    assert!(fingerprint.split(' ').all(|group| group.len() == 4 && group.bytes().all(|b| b.is_ascii_digit())));
    proposal.check_fingerprint(&fingerprint.replace(' ', "-")).unwrap();
    let mut swapped = proposal.clone();
    swapped.members[1].card = Card { name: "owner-1".into(), ..Identity::generate("mallory").unwrap().card() };
    let error = swapped.check_fingerprint(&fingerprint).unwrap_err();
    assert!(matches!(error, JointError::Fingerprint { .. }), "{error}");
    let error = swapped.place(&proposal.members[1].card).unwrap_err().to_string();
    assert!(error.contains("other keys for owner-1"), "{error}");
}

#[test]
fn sessions_that_nobody_can_run_are_refused_with_a_remedy() {
    assert!(refused(|c| c.members.truncate(1)).contains("train alone"));
    assert!(refused(|c| c.members.truncate(2)).contains("each learns the other's sums exactly"));
    let two = Contents { accept_disclosure: true, ..contents(2) };
    assert_eq!(Proposal::new(two).unwrap().names().count(), 2);
    assert!(refused(|c| c.members[2] = c.members[0].clone()).contains("owner-0 and owner-0 have the same name"));
    assert!(refused(|c| c.members[2].card.seal = c.members[1].card.seal).contains("owner-1 and owner-2"));
    assert!(refused(|c| c.members[1].card.name = "B".into()).contains("\"B\" is no name"));
    assert!(refused(|c| c.features.count = 0).contains("0 features"));
    assert!(refused(|c| c.features.count = MAX_FEATURES + 1).contains("1 to 4096"));
    assert!(refused(|c| c.features.names = Some(vec!["x".into()])).contains("have 1 names"));
    assert!(refused(|c| c.scaler.lambda = Some(0.2)).contains("another scaler"));
    assert!(refused(|c| c.scaler.lambda = Some(-1.0)).contains("lambda"));
    assert!(refused(|c| c.training.as_mut().unwrap().classes.truncate(1)).contains("two classes"));
    assert!(
        refused(|c| {
            c.training.as_mut().unwrap().recipe = Recipe::paper(2).unwrap();
            c.scaler.kind = ScalerKind::None;
        })
        .contains("row-sums")
    );
    assert!(
        refused(|c| {
            let overrides = RecipeOverrides { batch: Some(10), ..RecipeOverrides::default() };
            c.training.as_mut().unwrap().recipe = Preset::Default.recipe(2, &overrides).unwrap();
        })
        .contains("--batch")
    );
    assert!(
        refused(|c| {
            c.training = None;
            c.scaler.kind = ScalerKind::None;
        })
        .contains("needs no session")
    );
}

#[test]
fn tables_of_other_features_labels_or_origin_are_refused() {
    let proposal = Proposal::new(contents(3)).unwrap();
    let table = |columns: usize, label: &str| {
        FeatureTable::new(DMatrix::zeros(2, columns), Some(vec![label.to_owned(); 2])).unwrap()
    };
    proposal.check_table(Role::Rows, &table(3, "b")).unwrap();
    let message = |table: &FeatureTable| proposal.check_table(Role::Rows, table).unwrap_err().to_string();
    assert!(message(&table(4, "b")).contains("4 features a row, the session 3"));
    assert!(message(&table(3, "c")).contains("\"c\""));
    assert!(message(&FeatureTable::new(DMatrix::zeros(2, 3), None).unwrap()).contains("no labels"));
    let provenance = Provenance { backbone: "b".into(), digest: "00".into(), preprocess: "{}".into() };
    assert!(message(&table(3, "b").with_provenance(provenance.clone())).contains("a backbone's"));
    let of_backbone = Proposal::new(Contents {
        features: Features { count: 3, names: None, provenance: Some(provenance.clone()) },
        ..contents(3)
    })
    .unwrap();
    of_backbone.check_table(Role::Rows, &table(3, "b").with_provenance(provenance)).unwrap();
    assert!(of_backbone.check_table(Role::Rows, &table(3, "b")).unwrap_err().to_string().contains("unknown origin"));
}
