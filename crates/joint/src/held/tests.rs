//! Tests of whole sessions with a key holder, in memory, on a ring that hides nothing; and of every guard.

use std::cell::Cell;

use super::*;
use crate::party::{Outcome, Party, Progress, Turn};
use crate::proposal::{self, Contents, Features, Member, Mode, PooledScaler};
use crate::round::Round;
use crate::store::{MemoryStore, Sink};
use ciphertune_head::layout::{LayoutKind, Shape};
use ciphertune_head::plan::{self, Constraints, Gives};
use ciphertune_head::{DMatrix, Recipe, ScalerKind, twin};

const FEATURES: usize = 9;
const CLASSES: usize = 3;

#[test]
fn fields_come_back_as_they_were_and_in_their_number() {
    let list = [b"ab".to_vec(), Vec::new(), vec![7; 300]];
    let bytes = fields(&list);
    assert_eq!(parse_fields(&bytes, 3).unwrap(), list);
    assert!(parse_fields(&bytes, 2).is_none() && parse_fields(&bytes, 4).is_none());
    for end in 0..bytes.len() {
        assert!(parse_fields(&bytes[..end], 3).is_none(), "{end}");
    }
    assert!(parse_fields(&u64::MAX.to_le_bytes(), 1).is_none());
}

/// Clouds about three points.
fn table(rows: usize) -> FeatureTable {
    let mut state = 9u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    let centres = DMatrix::from_fn(CLASSES, FEATURES, |_, _| 2.0 * uniform());
    let features = DMatrix::from_fn(rows, FEATURES, |row, k| centres[(row % CLASSES, k)] + 1.5 * uniform());
    FeatureTable::new(features, Some((0..rows).map(|row| (row % CLASSES).to_string()).collect())).unwrap()
}

/// A session in memory.
struct Session {
    roles: Vec<Role>,
    identities: Vec<Identity>,
    own: Vec<MemoryStore>,
    shared: MemoryStore,
    proposal: Proposal,
    /// Of owners, what they take their turns with.
    tables: Vec<Option<FeatureTable>>,
    ids: Vec<String>,
    all: FeatureTable,
}

const ROWS: [Role; 3] = [Role::Rows; 3];
const APART: [Role; 2] = [Role::Features, Role::Labels];
const OTHERS: [Role; 3] = [Role::Holder, Role::Server, Role::Verifier];

impl Session {
    /// Owners and those who compute, with 240 rows of which every owner of rows has one class.
    fn new(owners: &[Role]) -> Self {
        let roles: Vec<Role> = owners.iter().copied().chain(OTHERS).collect();
        let all = table(240);
        let names = ["ada", "bo", "cyd", "hal", "sam", "vic"];
        let names = names[..owners.len()].iter().chain(&names[3..]);
        let identities: Vec<Identity> = names.map(|name| Identity::generate(name).unwrap()).collect();
        let class = |k: usize| all.select(&(0..240).filter(|row| row % CLASSES == k).collect::<Vec<_>>());
        let features_only = || FeatureTable::new(all.features().clone(), None).unwrap();
        let tables: Vec<Option<FeatureTable>> = roles
            .iter()
            .enumerate()
            .map(|(k, role)| match role {
                Role::Rows => Some(class(k)),
                Role::Features => Some(features_only()),
                _ => None,
            })
            .collect();
        let given: Vec<(Gives, usize)> =
            owners.iter().map(|role| (role.gives().unwrap(), if *role == Role::Rows { 80 } else { 240 })).collect();
        let recipe = Recipe::default_for(2).unwrap();
        let shape = Shape { rows: 240, features: FEATURES, classes: CLASSES };
        let toy = Constraints {
            layout: LayoutKind::ClassDiagonal,
            log_n: Some(9),
            insecure_toy: true,
            ..Constraints::default()
        };
        let plan = plan::choose(shape, &recipe, &Constraints { given, ..toy }).unwrap();
        let classes = (0..CLASSES).map(|class| class.to_string()).collect();
        let compare_ids = owners.contains(&Role::Labels);
        let members =
            roles.iter().zip(&identities).map(|(role, identity)| Member { role: *role, card: identity.card() });
        let proposal = Proposal::new(Contents {
            title: "clouds".into(),
            mode: Mode::KeyHolder,
            members: members.collect(),
            features: Features { count: FEATURES, names: None, provenance: None },
            scaler: PooledScaler { kind: ScalerKind::Whiten, lambda: None },
            training: Some(Training { classes, recipe, plan: Some(plan), compare_ids }),
            accept_disclosure: true,
            deadline: 1000,
        })
        .unwrap();
        let shared = MemoryStore::default();
        shared.put(proposal::NAME, &proposal.to_json()).unwrap();
        let own = roles.iter().map(|_| MemoryStore::default()).collect();
        let ids = (0..240).map(|row| format!("patient {row}")).collect();
        let session = Self { roles, identities, own, shared, proposal, tables, ids, all };
        let fingerprint = session.proposal.fingerprint();
        (0..session.roles.len()).for_each(|k| drop(session.party(k).agree(&fingerprint).unwrap()));
        session
    }

    fn party(&self, member: usize) -> Party<'_> {
        let (identity, shared, own) = (&self.identities[member], &self.shared, &self.own[member]);
        Party { identity, shared, own, now: 0, memory: usize::MAX }
    }

    fn turn(&self, member: usize) -> Turn<'_> {
        let labels = if self.roles[member] == Role::Labels { self.all.labels() } else { None };
        Turn { table: self.tables[member].as_ref(), labels, ids: Some(&self.ids) }
    }

    fn next(&self, member: usize) -> Result<Progress> {
        self.party(member).next(&self.proposal, &self.turn(member), &[])
    }

    fn place(&self, role: Role) -> usize {
        self.roles.iter().position(|found| *found == role).unwrap()
    }

    /// Everyone's turn until nothing is sent that `until` is before.
    fn run_until(&self, until: Option<Round>) {
        for _ in 0..Round::of(&self.proposal).len() {
            for member in 0..self.roles.len() {
                let progress = self.party(member).status(&self.proposal).unwrap();
                if Some(progress.round) != until {
                    self.next(member).unwrap();
                }
            }
        }
    }

    fn run(&self) -> Vec<Outcome> {
        self.run_until(None);
        let outcome = |member| {
            let progress = self.next(member).unwrap();
            assert!(progress.waiting.is_empty() && progress.sent.is_empty(), "{progress:?}");
            progress.outcome.unwrap()
        };
        (0..self.roles.len()).map(outcome).collect()
    }

    /// The head of a training on all rows in the clear, in the order of the owners.
    fn expected(&self) -> Head {
        let training = self.proposal.training.as_ref().unwrap();
        let scaler = Scaler::fit(ScalerKind::Whiten, None, self.all.features()).unwrap();
        let x = scaler.apply_with_ones(self.all.features()).unwrap();
        let classes = training.all_classes().unwrap();
        let labels = classes.indices(self.all.labels().unwrap()).unwrap();
        let weights = twin::train(&training.recipe, &x, &labels, CLASSES).pop().unwrap().weights;
        Head::from_scaled(&scaler, &weights, classes, &training.recipe).unwrap()
    }

    /// Puts other bytes in the place of shared ones.
    fn replace(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.shared.remove(name).unwrap();
        change(&mut bytes);
        self.shared.put(name, &bytes).unwrap();
    }
}

#[test]
fn owners_who_each_have_one_class_get_the_head_of_all_rows_and_nobody_else_does() {
    let session = Session::new(&ROWS);
    let outcomes = session.run();
    let expected = session.expected();
    let right = |head: &Head| head.evaluate(&session.all).unwrap().right;
    for (role, outcome) in session.roles.iter().zip(&outcomes) {
        assert_eq!(outcome.rows, 240);
        assert_eq!(outcome.head.is_some(), *role == Role::Rows, "{role:?}");
        assert_eq!(outcome.scaler.is_some(), *role == Role::Rows, "the holder never sees the scaler");
        if let Some(head) = &outcome.head {
            assert_eq!(head, outcomes[0].head.as_ref().unwrap());
            assert!(head.published().is_some());
            let difference = (head.weight() - expected.weight()).amax() / expected.weight().amax();
            assert!(difference < 1e-2, "{difference}");
            assert!(right(head).abs_diff(right(&expected)) <= 2 && right(head) > 180, "{}", right(head));
        }
    }
}

#[test]
fn features_and_labels_in_different_hands_make_a_head_for_who_has_features() {
    let session = Session::new(&APART);
    assert_eq!(Round::of(&session.proposal)[..3], [Round::Join, Round::Ids, Round::Keys], "no moments are shown");
    let outcomes = session.run();
    assert!(outcomes[0].head.is_some() && outcomes[1].head.is_none());
    let (head, expected) = (outcomes[0].head.as_ref().unwrap(), session.expected());
    assert!((head.weight() - expected.weight()).amax() < 1e-2 * expected.weight().amax());
}

#[test]
fn rows_in_another_order_are_refused_before_anything_is_encrypted() {
    let mut session = Session::new(&APART);
    session.run_until(Some(Round::Ids));
    session.next(0).unwrap();
    session.ids.swap(3, 4);
    let error = session.next(1).unwrap_err();
    assert!(matches!(&error, JointError::OtherRows { one, other } if one == "ada" && other == "bo"), "{error}");
    assert!(matches!(session.next(0).unwrap_err(), JointError::OtherRows { .. }));
    assert!(session.shared.names().iter().all(|name| !name.starts_with("contribution")));
    // Equal identifiers look otherwise in another session, so nobody can compare them with a list of its own.
    let [a, b] = [(); 2].map(|()| {
        let session = Session::new(&APART);
        session.run_until(Some(Round::Keys));
        session.shared.get("ids.ada").unwrap().unwrap()
    });
    assert_ne!(a, b);
    let without = Session::new(&APART);
    without.run_until(Some(Round::Ids));
    let turn = Turn { ids: None, ..without.turn(0) };
    let error = without.party(0).next(&without.proposal, &turn, &[]).unwrap_err();
    assert!(error.to_string().contains("--ids"), "{error}");
}

#[test]
fn masks_are_for_their_owner_and_entry_keys_for_those_who_compute() {
    let session = Session::new(&ROWS);
    session.run_until(Some(Round::Head));
    let joins = |k: usize| crate::artefact::Artefact::parse(&session.shared.get(&format!("keys.{k}")).ok()??).ok();
    assert!(joins(9).is_none());
    let body = |name: &str| crate::artefact::Artefact::parse(&session.shared.get(name).unwrap().unwrap()).unwrap().0;
    let keys = body("keys.hal");
    let session_digest = keys.place.session;
    let member = |place: usize| Actor {
        proposal: &session.proposal,
        session: session_digest,
        identity: &session.identities[place],
        place,
        own: &session.own[place],
        shared: &session.shared,
        memory: usize::MAX,
    };
    let holder = session.place(Role::Holder);
    let masks = Received { place: holder, file: "keys.hal".into(), body: &keys.body };
    for place in 0..session.roles.len() {
        let (sealed, _) = member(place).with_payload(&masks, 3).unwrap();
        let opened: Vec<bool> =
            sealed.iter().map(|sealed| member(place).open("ciphertune mask 1", &masks, sealed).is_ok()).collect();
        // The holder made them, and whoever seals for another can open it again.
        let expected = |owner: usize| place == owner;
        if place != holder {
            assert_eq!(opened, (0..3).map(expected).collect::<Vec<_>>(), "{:?}", session.roles[place]);
        }
    }
    for owner in 0..3 {
        let name = format!("contribution.{}", session.proposal.members[owner].card.name);
        let artefact = body(&name);
        let received = Received { place: owner, file: name, body: &artefact.body };
        for place in 0..session.roles.len() {
            let (sealed, _) = member(place).with_payload(&received, 2).unwrap();
            let opened =
                sealed.iter().filter(|s| member(place).open("ciphertune entry 1", &received, s).is_ok()).count();
            let computes = matches!(session.roles[place], Role::Server | Role::Verifier);
            if place != owner {
                assert_eq!(opened, usize::from(computes), "{owner} to {:?}", session.roles[place]);
            }
        }
    }
}

#[test]
fn no_secret_is_in_anything_that_is_shared() {
    let session = Session::new(&ROWS);
    session.run();
    let everything: Vec<u8> =
        session.shared.names().iter().flat_map(|name| session.shared.get(name).unwrap().unwrap()).collect();
    let windows: std::collections::HashSet<&[u8]> = everything.windows(24).collect();
    for (place, own) in session.own.iter().enumerate() {
        let Some(secret) = own.get(SECRET_KEY).unwrap() else {
            assert!(matches!(session.roles[place], Role::Server | Role::Verifier), "they have no key");
            continue;
        };
        // The secret's coefficients are at the end of its file.
        let coefficients = &secret[secret.len() - 400..];
        assert!(coefficients.windows(24).all(|run| !windows.contains(run)), "{place}");
        assert!(coefficients.iter().all(|x| matches!(x, 0 | 1 | 255)), "the search looks at the secret");
    }
    for own in &session.own {
        let secrets = own.get(crate::party::SECRETS).unwrap().unwrap();
        assert!(secrets[32..].windows(24).all(|run| !windows.contains(run)));
    }
}

#[test]
fn a_model_that_a_verifier_did_not_make_is_not_opened() {
    let session = Session::new(&ROWS);
    let (server, holder) = (session.place(Role::Server), session.place(Role::Holder));
    session.run_until(Some(Round::Model));
    // The server has another model by the time that it takes its turn.
    let progress = session.next(server).unwrap();
    assert_eq!(progress.sent, ["model.sam"]);
    for name in ["model.sam", "model.sam.data"] {
        session.shared.remove(name);
        session.own[server].remove(name);
    }
    session.own[server].put("model.sam.data", b"an owner's data").unwrap();
    session.next(server).unwrap();
    (0..session.roles.len()).for_each(|member| drop(session.next(member)));
    let error = session.next(holder).unwrap_err();
    assert!(matches!(&error, JointError::NotVerified { verifier } if verifier == "vic"), "{error}");
    assert!(session.shared.get("head.hal").unwrap().is_none());
}

#[test]
fn what_is_changed_on_its_way_is_refused_with_its_senders_name() {
    // A payload that is another, or gone.
    for (name, from, who) in [
        ("contribution.bo.data", "bo", Role::Server),
        ("keys.hal.data", "hal", Role::Server),
        ("model.sam.data", "sam", Role::Holder),
    ] {
        let session = Session::new(&ROWS);
        session.run_until(Some(if who == Role::Server { Round::Model } else { Round::Head }));
        session.replace(name, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        let error = session.next(session.place(who)).unwrap_err();
        assert!(matches!(&error, JointError::Payload { from: found, .. } if found == from), "{name}: {error}");
        session.shared.remove(name);
        assert!(matches!(session.next(session.place(who)).unwrap_err(), JointError::Payload { .. }), "{name}");
    }
    // An artefact of another session, and one that was changed.
    let (session, other) = (Session::new(&ROWS), Session::new(&ROWS));
    session.run_until(Some(Round::Model));
    other.run_until(Some(Round::Model));
    let strange = other.shared.get("contribution.bo").unwrap().unwrap();
    session.replace("contribution.bo", |bytes| *bytes = strange);
    let error = session.next(session.place(Role::Server)).unwrap_err();
    assert!(error.to_string().contains("contribution.bo"), "{error}");
}

#[test]
fn another_members_data_or_none_are_refused_with_the_remedy() {
    let session = Session::new(&ROWS);
    let message =
        |member: usize, turn: Turn| session.party(member).next(&session.proposal, &turn, &[]).unwrap_err().to_string();
    let (rows, holder) = (session.turn(0), session.place(Role::Holder));
    assert!(message(0, Turn::default()).contains("--train"));
    assert!(message(holder, rows).contains("leave out --train"));
    assert!(message(0, Turn { labels: session.all.labels(), ..rows }).contains("--train, and nothing else"));
    assert!(message(0, Turn { table: Some(&session.all), ..rows }).contains("240 rows"));
    let apart = Session::new(&APART);
    let error = apart.party(1).next(&apart.proposal, &apart.turn(0), &[]).unwrap_err();
    assert!(error.to_string().contains("--only-labels"), "{error}");
    let few = Turn { labels: apart.all.labels().map(|labels| &labels[1..]), ..apart.turn(1) };
    assert!(apart.party(1).next(&apart.proposal, &few, &[]).unwrap_err().to_string().contains("239 rows"));
}

#[test]
fn rosters_that_give_a_key_away_are_refused() {
    let session = Session::new(&ROWS);
    let refused = |change: &dyn Fn(&mut Contents), said: &str| {
        let Proposal { title, mode, members, features, scaler, training, accept_disclosure, deadline, .. } =
            session.proposal.clone();
        let mut contents = Contents { title, mode, members, features, scaler, training, accept_disclosure, deadline };
        change(&mut contents);
        let error = Proposal::new(contents).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    };
    let holder = session.place(Role::Holder);
    // The holder as the server, by another name and with the same key.
    refused(&|c| c.members[holder + 1].card.seal = c.members[holder].card.seal, "the same name or key");
    refused(&|c| c.members[holder + 1].role = Role::Holder, "one key holder and one server");
    refused(&|c| c.members[holder].role = Role::Verifier, "one key holder and one server");
    refused(&|c| c.members[0].role = Role::Features, "the session's plan is of other owners");
    refused(&|c| c.training.as_mut().unwrap().plan = None, "needs a plan");
    refused(&|c| c.mode = Mode::SecureSum, "leave out all other roles");
    refused(&|c| c.features.count = 8, "plan is of another training");
}

/// A store that fails from some write on, as a program that is killed.
struct Dying<'a> {
    store: &'a MemoryStore,
    left: &'a Cell<usize>,
}

impl Dying<'_> {
    fn live(&self) -> Result<()> {
        match self.left.get() {
            0 => Err(JointError::Store("killed".into())),
            left => {
                self.left.set(left - 1);
                Ok(())
            }
        }
    }
}

impl Store for Dying<'_> {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.store.get(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.live()?;
        self.store.put(name, bytes)
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Source>>> {
        self.store.open(name)
    }

    fn create(&self, name: &str, write: &mut dyn FnMut(&mut dyn Sink) -> Result<()>) -> Result<()> {
        self.live()?;
        self.store.create(name, write)
    }
}

#[test]
fn members_that_are_killed_at_any_write_go_on_and_send_the_same() {
    for survives in 0..6 {
        let session = Session::new(&ROWS);
        let mut kills = 0;
        for _ in 0..20 * Round::of(&session.proposal).len() {
            for member in 0..session.roles.len() {
                let left = Cell::new(survives);
                let (own, shared) =
                    (Dying { store: &session.own[member], left: &left }, Dying { store: &session.shared, left: &left });
                let party = Party { own: &own, shared: &shared, ..session.party(member) };
                let before = session.shared.names().len();
                match party.next(&session.proposal, &session.turn(member), &[]) {
                    Ok(_) => {}
                    Err(JointError::Store(message)) if message == "killed" => {
                        kills += 1;
                        // One write more is made than before every time, so that it gets on.
                        let left = Cell::new(1);
                        let own = Dying { store: &session.own[member], left: &left };
                        let shared = Dying { store: &session.shared, left: &left };
                        let party = Party { own: &own, shared: &shared, ..session.party(member) };
                        drop(party.next(&session.proposal, &session.turn(member), &[]));
                    }
                    Err(error) => panic!("{error}"),
                }
                assert!(session.shared.names().len() >= before);
            }
        }
        assert!(kills > 0 || survives > 4, "{survives}");
        let outcomes = session.run();
        let right = |head: &Head| head.evaluate(&session.all).unwrap().right;
        assert!(right(outcomes[0].head.as_ref().unwrap()) > 180, "{survives}: {kills} kills");
        for member in 0..session.roles.len() {
            for name in session.shared.names() {
                let (mine, there) = (session.own[member].get(&name).unwrap(), session.shared.get(&name).unwrap());
                assert!(mine.is_none() || mine == there, "{name}");
            }
        }
    }
}
