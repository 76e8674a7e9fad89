//! Tests of whole sessions in memory: pooled scalers and heads of split digits, and everything that is refused.

use super::*;
use crate::proposal::{Contents, Features, Member, PooledScaler, Training};
use crate::store::MemoryStore;
use ciphertune_head::{Classes, DMatrix, Recipe, twin};

const DEADLINE: u64 = 1_000;
/// Pixels of a digit.
const PIXELS: usize = 64;
/// The digits that come with the program: 64 pixels from 0 to 16, then the label.
const DIGITS: &[u8] = include_bytes!("../../../session/src/digits/digits.bin");

fn digits(rows: usize) -> FeatureTable {
    let images: Vec<&[u8]> = DIGITS.chunks_exact(PIXELS + 1).take(rows).collect();
    let features = DMatrix::from_fn(rows, PIXELS, |row, k| f64::from(images[row][k]));
    FeatureTable::new(features, Some(images.iter().map(|image| image[PIXELS].to_string()).collect())).unwrap()
}

/// Owners with their stores, and what they share.
struct Owners {
    identities: Vec<Identity>,
    own: Vec<MemoryStore>,
    shared: MemoryStore,
    proposal: Proposal,
}

fn contents(identities: &[Identity], features: usize, iterations: usize) -> Contents {
    let classes = (0..10).map(|class| class.to_string()).collect();
    let recipe = Recipe::default_for(iterations).unwrap();
    Contents {
        title: "digits".to_owned(),
        mode: Mode::SecureSum,
        members: identities.iter().map(|identity| Member { role: Role::Rows, card: identity.card() }).collect(),
        features: Features { count: features, names: None, provenance: None },
        scaler: PooledScaler { kind: ScalerKind::Whiten, lambda: None },
        training: Some(Training { classes, recipe, plan: None, compare_ids: false }),
        accept_disclosure: false,
        deadline: DEADLINE,
    }
}

impl Owners {
    fn new(count: usize, features: usize, iterations: usize) -> Self {
        Self::with(count, features, iterations, |_| {})
    }

    fn with(count: usize, features: usize, iterations: usize, change: impl FnOnce(&mut Contents)) -> Self {
        let identities: Vec<Identity> =
            (0..count).map(|k| Identity::generate(&format!("owner-{k}")).unwrap()).collect();
        let mut contents = contents(&identities, features, iterations);
        change(&mut contents);
        let proposal = Proposal::new(contents).unwrap();
        let shared = MemoryStore::default();
        shared.put(proposal::NAME, &proposal.to_json()).unwrap();
        let own = (0..count).map(|_| MemoryStore::default()).collect();
        let owners = Owners { identities, own, shared, proposal };
        let fingerprint = owners.proposal.fingerprint();
        (0..count).for_each(|k| drop(owners.party(k, 0).agree(&fingerprint).unwrap()));
        owners
    }

    fn party(&self, owner: usize, now: u64) -> Party<'_> {
        Party {
            identity: &self.identities[owner],
            shared: &self.shared,
            own: &self.own[owner],
            now,
            memory: usize::MAX,
        }
    }

    fn next(&self, owner: usize, table: &FeatureTable) -> Result<Progress> {
        self.party(owner, 0).next(&self.proposal, &Turn::of(table), &[])
    }

    /// Everyone's turn, until all are done.
    fn run(&self, tables: &[FeatureTable]) -> Vec<Outcome> {
        for _ in 0..Round::of(&self.proposal).len() {
            tables.iter().enumerate().for_each(|(k, table)| drop(self.next(k, table).unwrap()));
        }
        let outcome = |(k, table)| {
            let progress = self.next(k, table).unwrap();
            assert!(progress.waiting.is_empty() && progress.sent.is_empty() && !progress.aborted);
            progress.outcome.unwrap()
        };
        tables.iter().enumerate().map(outcome).collect()
    }
}

/// The twin of all rows, as a head.
fn pooled_head(table: &FeatureTable, iterations: usize) -> (Scaler, Head) {
    let recipe = Recipe::default_for(iterations).unwrap();
    let classes = Classes::from_names((0..10).map(|class| class.to_string()).collect()).unwrap();
    let labels = classes.indices(table.labels().unwrap()).unwrap();
    let scaler = Scaler::fit_for(&recipe, table.features()).unwrap();
    let x = scaler.apply_with_ones(table.features()).unwrap();
    let weights = twin::train(&recipe, &x, &labels, 10).pop().unwrap().weights;
    let head = Head::from_scaled(&scaler, &weights, classes, &recipe).unwrap();
    (scaler, head)
}

fn split(table: &FeatureTable, owner: impl Fn(usize, usize) -> usize, owners: usize) -> Vec<FeatureTable> {
    let labels: Vec<usize> = table.labels().unwrap().iter().map(|label| label.parse().unwrap()).collect();
    let rows = |k: usize| (0..table.rows()).filter(|&row| owner(row, labels[row]) == k).collect::<Vec<_>>();
    (0..owners).map(|k| table.select(&rows(k))).collect()
}

/// Whose a row is if every class is shared out by a draw of Dirichlet(0.3), from a fixed stream.
fn dirichlet(owners: usize) -> impl Fn(usize, usize) -> usize {
    let mut state = 7u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    // Gamma(0.3) by its small-shape approximation u^(1/0.3): shares as unequal as Dirichlet's.
    let mut share = || -> Vec<f64> { (0..owners).map(|_| uniform().powf(1.0 / 0.3)).collect() };
    let shares: Vec<Vec<f64>> = (0..10).map(|_| share()).collect();
    move |row, label| {
        let total: f64 = shares[label].iter().sum();
        let place = (row as f64 * 0.618_033_988_75).fract() * total;
        let ends = shares[label].iter().scan(0.0, |sum, share| {
            *sum += share;
            Some(*sum)
        });
        ends.take_while(|&end| end <= place).count().min(owners - 1)
    }
}

fn assert_near(found: &Head, expected: &Head) {
    let largest = expected.weight().amax();
    assert!((found.weight() - expected.weight()).amax() < 1e-9 * largest);
    assert!((found.bias() - expected.bias()).amax() < 1e-9 * expected.bias().amax().max(largest));
}

#[test]
fn owners_of_disjoint_classes_train_the_head_of_the_pooled_rows() {
    let table = digits(1_200);
    let (scaler, head) = pooled_head(&table, 2);
    let tables = split(&table, |_, label| if label < 4 { 0 } else { 1 + usize::from(label > 6) }, 3);
    let owners = Owners::new(3, PIXELS, 2);
    let outcomes = owners.run(&tables);
    for outcome in &outcomes {
        assert_eq!(outcome.rows, 1_200);
        assert_near(outcome.head.as_ref().unwrap(), &head);
        let expected = scaler.apply(table.features()).unwrap();
        let difference =
            (outcome.scaler.as_ref().unwrap().apply(table.features()).unwrap() - &expected).amax() / expected.amax();
        assert!(difference < 1e-9, "{difference:e}");
        // The same for all, to the last bit: all have the same integers.
        assert_eq!(outcome.head, outcomes[0].head);
        let bytes = |outcome: &Outcome| outcome.scaler.as_ref().unwrap().to_bytes().unwrap();
        assert_eq!(bytes(outcome), bytes(&outcomes[0]));
    }
    let rest = digits(1_797).select(&(1_200..1_797).collect::<Vec<_>>());
    let right = |head: &Head| head.evaluate(&rest).unwrap().right;
    assert_eq!(right(outcomes[0].head.as_ref().unwrap()), right(&head));
}

#[test]
fn a_dirichlet_split_of_ten_owners_trains_the_same_head() {
    let table = digits(1_000);
    let tables = split(&table, dirichlet(10), 10);
    let sizes: Vec<usize> = tables.iter().map(FeatureTable::rows).collect();
    assert!(sizes.iter().max() > sizes.iter().min().map(|least| 2 * least).as_ref(), "{sizes:?}");
    let outcomes = Owners::new(10, PIXELS, 3).run(&tables);
    assert_near(outcomes[9].head.as_ref().unwrap(), &pooled_head(&table, 3).1);
}

#[test]
fn a_session_without_training_gives_the_scaler_alone() {
    let table = digits(700);
    for kind in [ScalerKind::Whiten, ScalerKind::Standardize] {
        let owners = Owners::with(3, PIXELS, 2, |contents| {
            contents.training = None;
            contents.scaler.kind = kind;
        });
        let outcomes = owners.run(&split(&table, |row, _| row % 3, 3));
        assert!(outcomes[0].head.is_none());
        let fitted = Scaler::fit(kind, None, table.features()).unwrap();
        let expected = fitted.apply(table.features()).unwrap();
        let difference = (outcomes[0].scaler.as_ref().unwrap().apply(table.features()).unwrap() - &expected).amax()
            / expected.amax();
        assert!(difference < 1e-9, "{kind}: {difference:e}");
    }
}

/// A session whose owners are all at the same round, where `missing` has not sent.
fn up_to(round: &str, missing: usize) -> (Owners, Vec<FeatureTable>) {
    let tables = split(&digits(700), |row, _| row % 3, 3);
    let owners = Owners::new(3, PIXELS, 2);
    let last = owners.shared.names().len();
    assert_eq!(last, 1);
    while owners.shared.get(&format!("{round}.owner-{}", (missing + 1) % 3)).unwrap().is_none() {
        for k in (0..3).filter(|&k| k != missing) {
            owners.next(k, &tables[k]).unwrap();
        }
        if owners.shared.get(&format!("{round}.owner-{}", (missing + 1) % 3)).unwrap().is_none() {
            owners.next(missing, &tables[missing]).unwrap();
        }
    }
    owners.shared.remove(&format!("{round}.owner-{missing}"));
    for k in (0..3).filter(|&k| k != missing) {
        owners.next(k, &tables[k]).unwrap();
    }
    (owners, tables)
}

#[test]
fn an_owner_who_does_not_send_is_named_and_the_round_is_void_after_the_deadline() {
    for round in ["join", "means", "moments", "gradient-2"] {
        let (owners, tables) = up_to(round, 1);
        let progress = owners.next(0, &tables[0]).unwrap();
        assert_eq!(
            (progress.round.to_string(), &progress.waiting[..]),
            (round.to_owned(), &["owner-1".to_owned()][..])
        );
        assert!(progress.outcome.is_none() && !progress.aborted && progress.sent.is_empty());
        let late = owners.party(0, DEADLINE + 1).next(&owners.proposal, &Turn::of(&tables[0]), &[]).unwrap();
        assert!(late.aborted && late.outcome.is_none(), "{round}");
        let aborted = read_aborted(&owners.own[0]).unwrap().unwrap();
        assert_eq!(aborted, Aborted { round: round.to_owned(), missing: vec!["owner-1".to_owned()] });
        // Who is late sends nothing any more, and an aborted session stays so.
        let before = owners.shared.names();
        assert!(owners.party(1, DEADLINE + 1).next(&owners.proposal, &Turn::of(&tables[1]), &[]).unwrap().aborted);
        assert!(owners.next(0, &tables[0]).unwrap().aborted);
        assert_eq!(owners.shared.names(), before);
    }
}

#[test]
fn an_owner_that_is_stopped_anywhere_sends_the_same_bytes_again() {
    let (owners, tables) = up_to("gradient-2", 1);
    for name in owners.shared.names().iter().filter(|name| name.ends_with("owner-0")) {
        let sent = owners.shared.remove(name).unwrap();
        let progress = owners.next(0, &tables[0]).unwrap();
        assert_eq!(progress.sent, std::slice::from_ref(name));
        assert_eq!(owners.shared.get(name).unwrap().unwrap(), sent);
    }
}

#[test]
fn an_outsider_and_a_relay_see_neither_sums_nor_parts() {
    let (owners, _) = up_to("gradient-2", 1);
    for name in owners.shared.names().iter().filter(|name| name.contains("means") || name.contains("moments")) {
        let (artefact, _) = Artefact::parse(&owners.shared.get(name).unwrap().unwrap()).unwrap();
        let body = &artefact.body;
        // Sealed: as good as uniform, and no bytes of the rows' count.
        let mut counts = [0.0f64; 256];
        body.iter().for_each(|&byte| counts[usize::from(byte)] += 1.0);
        let expected = body.len() as f64 / 256.0;
        let chi: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
        assert!(chi < 370.0, "{name}: {chi}");
    }
    // No secret of an owner stands in what all share.
    for own in &owners.own {
        let secrets = own.get(SECRETS).unwrap().unwrap();
        for name in owners.shared.names() {
            let bytes = owners.shared.get(&name).unwrap().unwrap();
            for secret in secrets[32..].chunks(16) {
                assert!(!bytes.windows(16).any(|window| window == secret), "{name}");
            }
        }
    }
}

#[test]
fn two_tables_in_one_session_and_one_table_with_other_owners_are_refused() {
    let (owners, tables) = up_to("means", 1);
    let error = owners.next(0, &tables[2]).unwrap_err();
    assert!(matches!(error, JointError::OtherTable), "{error}");
    let earlier = Earlier::read(&owners.own[0], "owner-0").unwrap().unwrap();
    assert!(earlier.may_be_complete);
    let others = Owners::new(3, PIXELS, 2);
    let join = |earlier: &Earlier, table: &FeatureTable, owners: &Owners| {
        let (own, shared) = (MemoryStore::default(), MemoryStore::default());
        let party = Party { own: &own, shared: &shared, ..owners.party(0, 0) };
        party.next(&owners.proposal, &Turn::of(table), std::slice::from_ref(earlier)).map(drop)
    };
    let error = join(&earlier, &tables[0], &others).unwrap_err();
    assert!(matches!(&error, JointError::UsedTable { title } if title == "digits"), "{error}");
    // Other rows, the same owners, or a first sum that nobody can complete, are no danger.
    join(&earlier, &tables[1], &others).unwrap();
    join(&earlier, &tables[0], &owners).unwrap();
    owners.party(0, DEADLINE + 1).next(&owners.proposal, &Turn::of(&tables[0]), &[]).unwrap();
    let void = Earlier::read(&owners.own[0], "owner-0").unwrap().unwrap();
    assert!(!void.may_be_complete);
    join(&void, &tables[0], &others).unwrap();
    // Later rounds leave a complete first sum behind.
    let (owners, tables) = up_to("moments", 1);
    owners.party(0, DEADLINE + 1).next(&owners.proposal, &Turn::of(&tables[0]), &[]).unwrap();
    assert!(Earlier::read(&owners.own[0], "owner-0").unwrap().unwrap().may_be_complete);
    assert!(Earlier::read(&MemoryStore::default(), "owner-0").unwrap().is_none());
}

#[test]
fn artefacts_that_were_changed_or_are_another_sessions_are_refused_by_name() {
    let (owners, tables) = up_to("moments", 1);
    let (strangers, _) = up_to("moments", 1);
    let tampered = |name: &str, bytes: Vec<u8>| {
        let there = owners.shared.remove(name).unwrap();
        owners.shared.put(name, &bytes).unwrap();
        let error = owners.next(0, &tables[0]).unwrap_err();
        owners.shared.remove(name);
        owners.shared.put(name, &there).unwrap();
        error
    };
    let there = owners.shared.get("means.owner-2").unwrap().unwrap();
    let mut flipped = there.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(matches!(tampered("means.owner-2", flipped), JointError::Container(_)));
    let other = strangers.shared.get("means.owner-2").unwrap().unwrap();
    let error = tampered("means.owner-2", other).to_string();
    assert!(error.contains("means.owner-2") && error.contains("another session"), "{error}");
    let error = tampered("means.owner-2", owners.shared.get("means.owner-1").unwrap().unwrap()).to_string();
    assert!(error.contains("names means.owner-1"), "{error}");
    // Signed by someone else.
    let (artefact, _) = Artefact::parse(&there).unwrap();
    let error = tampered("means.owner-2", artefact.to_bytes(&owners.identities[0]).unwrap());
    assert!(matches!(error, JointError::Signature { from, .. } if from == "owner-2"));
    // Of an owner that says other things to others: the signature is right, what the others read is not.
    let twice = Artefact { body: [&artefact.body[..], &[0]].concat(), ..artefact.clone() };
    let error = tampered("means.owner-2", twice.to_bytes(&owners.identities[2]).unwrap());
    assert!(matches!(error, JointError::Sealed { from, .. } if from == "owner-2"));
    let (join, _) = Artefact::parse(&owners.shared.get("join.owner-2").unwrap().unwrap()).unwrap();
    let body = Join::body(&owners.proposal, &owners.identities[2], &Secrets::generate().unwrap()).unwrap();
    let error = tampered("join.owner-2", Artefact { body, ..join }.to_bytes(&owners.identities[2]).unwrap());
    // Another join gives another session than all that follows names.
    assert!(matches!(&error, JointError::Misplaced { expected, .. } if expected == "means.owner-0"), "{error}");
    // One's own artefact changed.
    let error = tampered("means.owner-0", there);
    assert!(matches!(error, JointError::Rewritten(name) if name == "means.owner-0"));
    assert_eq!(owners.next(0, &tables[0]).unwrap().waiting, ["owner-1"], "and what is whole goes on");
}

#[test]
fn an_owner_that_read_other_artefacts_is_noticed_before_anything_more_is_sent() {
    let (owners, tables) = up_to("moments", 1);
    // Owner 2 sends two versions of its means, both signed: others saw the first.
    let (artefact, _) = Artefact::parse(&owners.shared.get("means.owner-2").unwrap().unwrap()).unwrap();
    let place = artefact.place.file();
    let joins: Vec<Join> = (0..3)
        .map(|k| {
            let (join, _) = Artefact::parse(&owners.shared.get(&format!("join.owner-{k}")).unwrap().unwrap()).unwrap();
            Join::parse(&owners.proposal, k, &join.body).unwrap()
        })
        .collect();
    let secrets = Secrets::from_bytes(&owners.own[2].get(SECRETS).unwrap().unwrap()).unwrap();
    let group = Group::new(&owners.proposal, &owners.identities[2], 2, &secrets, &joins).unwrap();
    let vector = group.open(&place, "owner-2", &artefact.body).unwrap();
    let again = Artefact { body: group.seal(&place, &vector).unwrap(), ..artefact };
    owners.shared.remove(&place);
    owners.shared.put(&place, &again.to_bytes(&owners.identities[2]).unwrap()).unwrap();
    let error = owners.next(0, &tables[0]).unwrap_err();
    assert!(matches!(&error, JointError::Transcript { name, .. } if name == "moments.owner-0"), "{error}");
}

#[test]
fn few_rows_for_so_many_features_are_refused_unless_all_accept_it() {
    let table = digits(300);
    let tables = split(&table, |row, _| row % 3, 3);
    let owners = Owners::new(3, PIXELS, 2);
    for _ in 0..2 {
        (0..3).for_each(|k| drop(owners.next(k, &tables[k])));
    }
    let error = owners.next(0, &tables[0]).unwrap_err();
    assert!(matches!(error, JointError::FewRows { rows: 300, least: 640 }), "{error}");
    assert!(owners.shared.names().iter().all(|name| !name.starts_with("moments")), "nothing was sent");
    let accepting = Owners::with(3, PIXELS, 2, |contents| contents.accept_disclosure = true);
    assert_eq!(accepting.run(&tables)[0].rows, 300);
}

#[test]
fn another_session_in_its_place_and_another_fingerprint_are_refused() {
    let owners = Owners::new(3, PIXELS, 2);
    let party = owners.party(0, 0);
    assert!(matches!(party.agree("0000 0000 0000 0000"), Err(JointError::Fingerprint { .. })));
    assert_eq!(party.agreed().unwrap().unwrap(), owners.proposal);
    let mut other = owners.proposal.clone();
    other.title = "other".to_owned();
    owners.shared.remove(proposal::NAME);
    owners.shared.put(proposal::NAME, &other.to_json()).unwrap();
    assert!(matches!(party.agreed(), Err(JointError::Rewritten(name)) if name == proposal::NAME));
    assert!(party.agree(&other.fingerprint()).is_err(), "an owner agrees once");
}

#[test]
fn a_forgotten_session_does_not_go_on() {
    let (owners, tables) = up_to("moments", 1);
    owners.own[0].remove(SECRETS);
    assert!(matches!(owners.next(0, &tables[0]), Err(JointError::Forgotten)));
    // Secrets that are not those it joined with mask nothing.
    owners.own[0].put(SECRETS, Secrets::generate().unwrap().as_bytes()).unwrap();
    assert!(matches!(owners.next(0, &tables[0]), Err(JointError::Store(_))));
}

#[test]
fn status_sends_nothing() {
    let owners = Owners::new(3, PIXELS, 2);
    let progress = owners.party(0, 0).status(&owners.proposal).unwrap();
    assert_eq!((progress.round, progress.waiting.len()), (Round::Join, 3));
    assert_eq!(owners.shared.names(), [proposal::NAME]);
}
