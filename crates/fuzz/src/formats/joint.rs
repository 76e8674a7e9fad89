//! What owners of a session keep and send.

use std::path::Path;

use ciphertune_ckks::container::ContainerWriter;
use ciphertune_head::{Recipe, ScalerKind};
use ciphertune_joint::artefact::{Artefact, Place};
use ciphertune_joint::hash::Digest;
use ciphertune_joint::identity::{self, Card, Identity};
use ciphertune_joint::proposal::{Contents, Features, Member, Mode, PooledScaler, Proposal, Role, Training};

use super::{Format, bytes, hash};

/// An identity that is the same at every call, so that a damaged file can be made again.
fn identity(name: &str, byte: u8) -> Identity {
    let writer = ContainerWriter::new(identity::KIND, 1).metadata("name", name);
    let written = writer.u8("sign", &[32], vec![byte; 32]).u8("seal", &[32], vec![byte + 100; 32]).to_bytes();
    Identity::from_bytes(&written.expect("memory")).expect("an identity")
}

fn proposal() -> Proposal {
    let contents = Contents {
        title: "damaged".to_owned(),
        mode: Mode::SecureSum,
        members: (1..4).map(|k| Member { role: Role::Rows, card: identity(&format!("owner-{k}"), k).card() }).collect(),
        features: Features { count: 2, names: Some(vec!["a".to_owned(), "b".to_owned()]), provenance: None },
        scaler: PooledScaler { kind: ScalerKind::Whiten, lambda: None },
        training: Some(Training {
            classes: vec!["0".to_owned(), "1".to_owned()],
            recipe: Recipe::default_for(2).expect("a recipe"),
            plan: None,
            compare_ids: false,
        }),
        accept_disclosure: false,
        deadline: 2_000_000_000,
    };
    Proposal::new(contents).expect("a proposal")
}

fn place() -> Place {
    Place { name: "means".to_owned(), session: Digest::of("session", []), from: "owner-1".to_owned(), seq: 1 }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

fn read_identity(path: &Path) -> Result<u64, String> {
    Identity::from_bytes(&bytes(path)?).map(|identity| hash(identity.card().to_json())).map_err(text)
}

fn read_card(path: &Path) -> Result<u64, String> {
    Card::from_json(&bytes(path)?).map(|card| hash(card.to_json())).map_err(text)
}

fn read_proposal(path: &Path) -> Result<u64, String> {
    Proposal::from_json(&bytes(path)?).map(|proposal| hash(proposal.to_json())).map_err(text)
}

fn read_artefact(path: &Path) -> Result<u64, String> {
    let read = Artefact::from_bytes(&bytes(path)?, &place(), &identity("owner-1", 1).card());
    read.map(|artefact| hash(artefact.digest().0)).map_err(text)
}

pub fn formats() -> Vec<Format> {
    let owner = identity("owner-1", 1);
    let artefact = Artefact { place: place(), transcript: Digest::of("seen", []), body: (0..200).collect() };
    let (artefact, secret) = (artefact.to_bytes(&owner).expect("memory"), owner.to_bytes().expect("memory").to_vec());
    vec![
        Format::new("joint-identity", "identity.key", secret, read_identity).sealed(),
        Format::new("joint-card", "card.owner-1", owner.card().to_json().into_bytes(), read_card),
        Format::new("joint-session", "session.json", proposal().to_json(), read_proposal),
        Format::new("joint-artefact", "means.owner-1", artefact, read_artefact).sealed(),
    ]
}
