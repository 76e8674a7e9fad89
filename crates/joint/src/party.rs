//! An owner's part in a session: whatever is its turn, from the artefacts that are there.
//!
//! A [`Party`] holds no state of its own. All it knows is in two stores: the one that all owners share, and its own, which
//! nobody else reads. Every artefact goes into its own store first, whole, and then into the shared one, byte for byte; so
//! it may be stopped at any point, and asked again it goes on with the same bytes, never with others. In its own store are
//!
//! * `session.json`: the proposal that it agreed to; `table`: the digest of the one table that it takes part with;
//! * `secrets`: nonce, key of this session and share of the group's key ([`Secrets`]); gone once it is forgotten;
//! * `join.NAME`, `means.NAME`, ...: what it sent; `aborted`: that it stopped waiting, and for whom.

use crate::artefact::{Artefact, Place};
use crate::error::{JointError, Result};
use crate::hash::Digest;
use crate::held::{Actor, Received};
use crate::identity::Identity;
use crate::masked::{self, Masker, Vector, Width};
use crate::moments::{self, Means};
use crate::proposal::{self, Mode, Proposal, Role};
use crate::round::{Group, Join, Round, Secrets};
use crate::store::Store;
use crate::training::{self, Course};
use ciphertune_head::job::owner::OwnRows;
use ciphertune_head::{DMatrix, FeatureTable, Head, Scaler, ScalerKind};
use serde::{Deserialize, Serialize};

/// The digest of the table, in an owner's store.
pub const TABLE: &str = "table";
/// The secrets of a session, in an owner's store.
pub const SECRETS: &str = "secrets";
/// That an owner stopped waiting, in its store.
pub const ABORTED: &str = "aborted";

/// The scaler of an owner who has all features, in its store.
const OWN_SCALER: &str = "own-scaler";

/// So many rows a feature are pooled at least, unless all owners accept what fewer tell about them.
const ROWS_A_FEATURE: usize = 10;

/// An owner, what it shares with others, and what it keeps.
pub struct Party<'a> {
    /// The owner's keys.
    pub identity: &'a Identity,
    /// What all owners read and write.
    pub shared: &'a dyn Store,
    /// What this one keeps.
    pub own: &'a dyn Store,
    /// Seconds since 1970-01-01, UTC.
    pub now: u64,
    /// Bytes of memory that a training may take here.
    pub memory: usize,
}

/// What a member takes its turn with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turn<'a> {
    /// Features, with labels if it has them; for owners of rows or features.
    pub table: Option<&'a FeatureTable>,
    /// A label a row; for owners of labels alone.
    pub labels: Option<&'a [String]>,
    /// An identifier a row; where features and labels are compared.
    pub ids: Option<&'a [String]>,
}

impl<'a> Turn<'a> {
    /// That of an owner of features.
    pub fn of(table: &'a FeatureTable) -> Self {
        Turn { table: Some(table), ..Turn::default() }
    }

    /// Refuses what is not this role's.
    fn check(&self, role: Role) -> Result<()> {
        let refuse = |reason: &str| Err(JointError::Proposal(reason.to_owned()));
        match (role, self.table.is_some(), self.labels.is_some()) {
            (Role::Rows | Role::Features, true, false) | (Role::Labels, false, true) => Ok(()),
            (Role::Holder | Role::Server | Role::Verifier, false, false) => Ok(()),
            (Role::Rows, ..) => {
                refuse("this member has rows in the session: give its table with --train, and nothing else")
            }
            (Role::Features, ..) => {
                refuse("this member has features in the session: give its table with --train, and no labels")
            }
            (Role::Labels, ..) => {
                refuse("this member has labels in the session: give them with --only-labels, and no table")
            }
            _ => refuse("this member has no data in the session: leave out --train and --only-labels"),
        }
    }

    /// The labels, of the table or alone.
    fn own_labels(&self, role: Role) -> Option<&'a [String]> {
        match role {
            Role::Rows => self.table.and_then(FeatureTable::labels),
            Role::Labels => self.labels,
            _ => None,
        }
    }
}

/// Where a session stands, for one owner.
#[derive(Debug)]
pub struct Progress {
    /// The round that it stands in.
    pub round: Round,
    /// Owners whose artefact of that round is missing; empty once the session is over.
    pub waiting: Vec<String>,
    /// Whether it stopped waiting: the deadline is past.
    pub aborted: bool,
    /// The artefacts that this call sent.
    pub sent: Vec<String>,
    /// What the sums say, once all of them are there.
    pub outcome: Option<Outcome>,
}

/// What a member has at the end.
#[derive(Debug)]
pub struct Outcome {
    /// Rows of all owners.
    pub rows: usize,
    /// The scaler of all rows, for who has features.
    pub scaler: Option<Scaler>,
    /// The head that was trained on all rows, if there was a training.
    pub head: Option<Head>,
}

/// That an owner stopped waiting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aborted {
    /// The round's name.
    pub round: String,
    /// For whom it had waited.
    pub missing: Vec<String>,
}

/// What an owner remembers of another session.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// The session.
    pub proposal: Proposal,
    /// The table that it took part with.
    pub table: Digest,
    /// Whether its first sum may be complete at someone's.
    pub may_be_complete: bool,
}

impl Earlier {
    /// What an owner's store of another session tells; `None` if nothing was sent from it.
    ///
    /// # Errors
    ///
    /// [`JointError::Store`], [`JointError::Document`].
    pub fn read(own: &dyn Store, name: &str) -> Result<Option<Self>> {
        let sent = own.get(&format!("{}.{name}", Round::Means))?;
        let (Some(json), Some(table), Some(_)) = (own.get(proposal::NAME)?, own.get(TABLE)?, sent) else {
            return Ok(None);
        };
        // All keep to the deadline: what was missing then is never sent.
        let void = read_aborted(own)?.is_some_and(|aborted| aborted.round == Round::Means.to_string());
        Ok(Some(Earlier {
            proposal: Proposal::from_json(&json)?,
            table: text(TABLE, &table)?.parse()?,
            may_be_complete: !void,
        }))
    }
}

fn text<'b>(name: &str, bytes: &'b [u8]) -> Result<&'b str> {
    std::str::from_utf8(bytes).map_err(|_| JointError::Store(format!("{name} is damaged: restore it")))
}

/// What [`ABORTED`] says, if it is there.
///
/// # Errors
///
/// [`JointError::Store`].
pub fn read_aborted(own: &dyn Store) -> Result<Option<Aborted>> {
    let damaged = |error| JointError::Store(format!("{ABORTED} is damaged: restore it ({error})"));
    own.get(ABORTED)?.map(|bytes| serde_json::from_slice(&bytes).map_err(damaged)).transpose()
}

/// The digest of what a member takes its turn with: numbers and labels, in order.
fn table_digest(turn: &Turn) -> Digest {
    let empty = DMatrix::zeros(0, 0);
    let features = turn.table.map_or(&empty, FeatureTable::features);
    let shape = [features.nrows() as u64, features.ncols() as u64].map(u64::to_le_bytes);
    let numbers: Vec<u8> = features.iter().flat_map(|x| x.to_bits().to_le_bytes()).collect();
    let labels = turn.table.and_then(FeatureTable::labels).or(turn.labels).unwrap_or_default();
    let fields = [&shape[0][..], &shape[1], &numbers].into_iter().chain(labels.iter().map(String::as_bytes));
    Digest::of("ciphertune table 1", fields)
}

impl Party<'_> {
    /// Agrees to the session that is there, whose fingerprint somebody read aloud.
    ///
    /// # Errors
    ///
    /// [`JointError::Fingerprint`]; [`JointError::Proposal`] if it is not this owner's, or there is none.
    pub fn agree(&self, fingerprint: &str) -> Result<Proposal> {
        let json = self.proposed()?;
        let proposal = Proposal::from_json(&json)?;
        proposal.check_fingerprint(fingerprint)?;
        proposal.place(&self.identity.card())?;
        self.own.put(proposal::NAME, &json)?;
        Ok(proposal)
    }

    fn proposed(&self) -> Result<Vec<u8>> {
        let missing = || {
            JointError::Proposal(
                "there is no session yet: the coordinator makes one with ciphertune joint new".to_owned(),
            )
        };
        self.shared.get(proposal::NAME)?.ok_or_else(missing)
    }

    /// The session that this owner agreed to, which must still be the one that is there; `None` if it has not yet.
    ///
    /// # Errors
    ///
    /// [`JointError::Rewritten`] if there is another by now.
    pub fn agreed(&self) -> Result<Option<Proposal>> {
        let Some(json) = self.own.get(proposal::NAME)? else { return Ok(None) };
        match self.shared.get(proposal::NAME)? {
            Some(there) if there != json => Err(JointError::Rewritten(proposal::NAME.to_owned())),
            _ => Proposal::from_json(&json).map(Some),
        }
    }

    /// Takes the member's turn with its table, as often as there is one. `earlier` are its other sessions.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with another's artefact, by its name; [`JointError::OtherTable`] and [`JointError::UsedTable`] if
    /// taking part with this table could show what is another owner's alone.
    pub fn next(&self, proposal: &Proposal, turn: &Turn, earlier: &[Earlier]) -> Result<Progress> {
        let place = proposal.place(&self.identity.card())?;
        let role = proposal.members[place].role;
        turn.check(role)?;
        if let Some(table) = turn.table {
            proposal.check_table(role, table)?;
            proposal.check_rows(place, table.rows())?;
        }
        if let (Some(labels), Some(training)) = (turn.labels, &proposal.training) {
            proposal.check_rows(place, labels.len())?;
            training.all_classes()?.indices(labels)?;
        }
        let digest = table_digest(turn);
        self.check_earlier(proposal, digest, earlier)?;
        match self.own.put(TABLE, digest.to_string().as_bytes()) {
            Err(JointError::Rewritten(_)) => return Err(JointError::OtherTable),
            put => put?,
        }
        self.run(proposal, Some(turn))
    }

    /// Where the session stands. Sends nothing.
    ///
    /// # Errors
    ///
    /// As [`Party::next`].
    pub fn status(&self, proposal: &Proposal) -> Result<Progress> {
        self.run(proposal, None)
    }

    fn check_earlier(&self, proposal: &Proposal, table: Digest, earlier: &[Earlier]) -> Result<()> {
        let roster = |proposal: &Proposal| {
            let mut keys: Vec<_> =
                proposal.summing().into_iter().map(|place| proposal.members[place].card.sign).collect();
            keys.sort_unstable();
            keys
        };
        let shows = |other: &&Earlier| {
            other.may_be_complete && other.table == table && roster(&other.proposal) != roster(proposal)
        };
        match earlier.iter().find(shows) {
            None => Ok(()),
            Some(other) => Err(JointError::UsedTable { title: other.proposal.title.clone() }),
        }
    }

    fn run(&self, proposal: &Proposal, turn: Option<&Turn>) -> Result<Progress> {
        let mut walk = Walk {
            party: self,
            proposal,
            turn,
            place: proposal.place(&self.identity.card())?,
            aborted: read_aborted(self.own)?,
            transcript: proposal.digest(),
            sent: Vec::new(),
            knowledge: Knowledge::default(),
        };
        let rounds = Round::of(proposal);
        for (seq, &round) in rounds.iter().enumerate() {
            let Some(artefacts) = walk.round(round, seq as u64)? else {
                return walk.wait(round, seq as u64);
            };
            walk.learn(round, artefacts)?;
        }
        walk.progress(Round::Done, Vec::new())
    }
}

/// One pass through the rounds.
struct Walk<'a> {
    party: &'a Party<'a>,
    proposal: &'a Proposal,
    /// `None` if nothing is to be sent.
    turn: Option<&'a Turn<'a>>,
    place: usize,
    aborted: Option<Aborted>,
    /// Of all rounds before.
    transcript: Digest,
    sent: Vec<String>,
    knowledge: Knowledge,
}

/// What the rounds so far have told.
#[derive(Default)]
struct Knowledge {
    secrets: Option<Secrets>,
    group: Option<Group>,
    means: Option<Means>,
    scaler: Option<Scaler>,
    course: Option<Course>,
    /// Of all sums.
    sums: Vec<Digest>,
    /// The artefacts of rounds with a key holder.
    held: Vec<(Round, Vec<Artefact>)>,
    head: Option<Head>,
}

/// The rounds come in order.
const ORDER: &str = "the rounds before have told it";

impl Walk<'_> {
    fn at(&self, round: Round, seq: u64, owner: usize) -> Place {
        let session = self.knowledge.group.as_ref().map_or_else(|| self.proposal.digest(), |group| group.session);
        Place { name: round.to_string(), session, from: self.proposal.members[owner].card.name.clone(), seq }
    }

    /// The artefacts of a round in the order of the roster, this member's made and sent if need be; `None` if one is
    /// missing.
    fn round(&mut self, round: Round, seq: u64) -> Result<Option<Vec<Artefact>>> {
        let mine = self.at(round, seq, self.place).file();
        let senders = round.senders(self.proposal);
        let mut bytes = self.party.own.get(&mine)?;
        let is_sender = senders.contains(&self.place);
        let may_send =
            is_sender && self.turn.is_some() && self.aborted.is_none() && self.party.now <= self.proposal.deadline;
        if bytes.is_none() && may_send {
            let made = self.make(round, seq)?;
            bytes = Some(keep(self.party.own, &mine, &made)?);
        }
        if let Some(bytes) = &bytes
            && may_send
            && self.party.shared.get(&mine)?.is_none()
        {
            // First what the artefact speaks of.
            if round.has_payload() {
                self.actor().share_payload(&mine)?;
            }
            self.party.shared.put(&mine, bytes)?;
            self.sent.push(mine.clone());
        }
        let mut artefacts = Vec::with_capacity(senders.len());
        for owner in senders {
            let place = self.at(round, seq, owner);
            let Some(there) = self.party.shared.get(&place.file())? else { return Ok(None) };
            if owner == self.place && bytes.as_ref() != Some(&there) {
                return Err(JointError::Rewritten(mine));
            }
            let artefact = Artefact::from_bytes(&there, &place, &self.proposal.members[owner].card)?;
            if artefact.transcript != self.transcript {
                return Err(JointError::Transcript { name: place.file(), from: place.from });
            }
            artefacts.push(artefact);
        }
        Ok(Some(artefacts))
    }

    fn make(&mut self, round: Round, seq: u64) -> Result<Vec<u8>> {
        let place = self.at(round, seq, self.place);
        let body = match round {
            Round::Join => Join::body(self.proposal, self.party.identity, self.secrets(true)?)?,
            Round::Done => self.result().0.to_vec(),
            Round::Keys => self.actor().make_keys(&place.file())?,
            Round::Ids => self.actor().make_ids(self.turn.and_then(|turn| turn.ids))?,
            Round::Contribution => self.contribution(&place.file())?,
            Round::Model | Round::Verified => {
                let (keys, contributions) = (self.received(Round::Keys), self.received(Round::Contribution));
                Actor::model_body(self.actor().make_model(&place.file(), &keys[0], &contributions)?)
            }
            Round::Head => self.actor().make_head(&self.received(Round::Model)[0])?,
            sum => {
                let masked = self.mask(sum, self.vector(sum)?)?;
                let group = self.knowledge.group.as_ref().expect(ORDER);
                group.seal(&place.file(), masked.as_bytes())?
            }
        };
        Artefact { place, transcript: self.transcript, body }.to_bytes(self.party.identity)
    }

    /// This member at work, where a key holder is one.
    fn actor(&self) -> Actor<'_> {
        let Party { identity, shared, own, memory, .. } = *self.party;
        let session = self.knowledge.group.as_ref().expect(ORDER).session;
        Actor { proposal: self.proposal, session, identity, place: self.place, own, shared, memory }
    }

    /// The artefacts of a round with a key holder that is over.
    fn received(&self, round: Round) -> Vec<Received<'_>> {
        let (_, artefacts) = self.knowledge.held.iter().find(|(found, _)| *found == round).expect(ORDER);
        let sent = round.senders(self.proposal).into_iter().zip(artefacts);
        sent.map(|(place, sent)| Received { place, file: sent.place.file(), body: &sent.body }).collect()
    }

    /// This owner's rows, encrypted.
    fn contribution(&self, file: &str) -> Result<Vec<u8>> {
        let (turn, actor) = (self.turn.expect("nothing is made without a turn"), self.actor());
        let training = self.proposal.training.as_ref().expect("a session with a key holder has a training");
        let classes = training.all_classes()?;
        let scaler = match (&self.knowledge.scaler, turn.table) {
            (Some(scaler), _) => Some(scaler.clone()),
            (None, Some(table)) => Some(self.alone(table)?),
            (None, None) => None,
        };
        let features = turn.table.zip(scaler.as_ref());
        let labels = turn.own_labels(self.proposal.members[self.place].role);
        actor.make_contribution(file, &self.received(Round::Keys)[0], &OwnRows { features, labels, classes: &classes })
    }

    /// The scaler of an owner who has all features, which it keeps for the head.
    fn alone(&self, table: &FeatureTable) -> Result<Scaler> {
        let bytes = match self.party.own.get(OWN_SCALER)? {
            Some(bytes) => bytes,
            None => keep(self.party.own, OWN_SCALER, &self.actor().own_scaler(table)?.to_bytes()?)?,
        };
        Ok(Scaler::from_bytes(&bytes)?)
    }

    /// This owner's numbers of a round.
    fn vector(&self, round: Round) -> Result<Vector> {
        let table = self.turn.and_then(|turn| turn.table).expect("sums are made of tables");
        let known = &self.knowledge;
        match round {
            Round::Means => moments::means(table.features()),
            Round::Moments => known.means.as_ref().expect(ORDER).moments(table.features()),
            _ => {
                let training = self.proposal.training.as_ref().expect("a session with gradients has a training");
                let (scaler, course) = (known.scaler.as_ref().expect(ORDER), known.course.as_ref().expect(ORDER));
                training::gradient(training, scaler, course, table)
            }
        }
    }

    fn mask(&self, round: Round, vector: Vector) -> Result<Vector> {
        let group = self.knowledge.group.as_ref().expect(ORDER);
        let secret = self.knowledge.secrets.as_ref().expect(ORDER).exchange();
        let place = group.place.expect("who makes sums is one of those");
        let masker = Masker { session: group.session, secret: &secret, owners: &group.owners, place };
        let what = match round {
            Round::Means => "means",
            Round::Moments => "moments",
            _ => "numbers of the gradient",
        };
        masker.mask(&round.to_string(), vector, what)
    }

    fn secrets(&mut self, draw: bool) -> Result<&Secrets> {
        if self.knowledge.secrets.is_none() {
            let own = self.party.own;
            let bytes = match own.get(SECRETS)? {
                Some(bytes) => bytes,
                None if draw => keep(own, SECRETS, Secrets::generate()?.as_bytes())?,
                None => return Err(JointError::Forgotten),
            };
            self.knowledge.secrets = Some(Secrets::from_bytes(&bytes).ok_or_else(damaged_secrets)?);
        }
        Ok(self.knowledge.secrets.as_ref().expect("it was just set"))
    }

    /// What a whole round tells.
    fn learn(&mut self, round: Round, artefacts: Vec<Artefact>) -> Result<()> {
        let digests: Vec<Digest> = artefacts.iter().map(Artefact::digest).collect();
        let fields = [&self.transcript.0[..]].into_iter().chain(digests.iter().map(|digest| &digest.0[..]));
        self.transcript = Digest::of("ciphertune transcript 1", fields);
        match round {
            Round::Join => {
                let mut joins = Vec::with_capacity(artefacts.len());
                for (member, Artefact { place, body, .. }) in artefacts.iter().enumerate() {
                    let join = Join::parse(self.proposal, member, body);
                    joins.push(join.ok_or_else(|| JointError::Body { name: place.file(), from: place.from.clone() })?);
                }
                self.secrets(false)?;
                let secrets = self.knowledge.secrets.as_ref().expect("it was just read");
                if !joins[self.place].is_of(secrets) {
                    return Err(damaged_secrets());
                }
                let group = Group::new(self.proposal, self.party.identity, self.place, secrets, &joins)?;
                self.knowledge.group = Some(group);
                Ok(())
            }
            Round::Done => {
                let result = self.result();
                match artefacts.iter().find(|artefact| artefact.body != result.0) {
                    None => Ok(()),
                    Some(other) => {
                        let Place { from, .. } = &other.place;
                        Err(JointError::Transcript { name: other.place.file(), from: from.clone() })
                    }
                }
            }
            Round::Keys | Round::Ids | Round::Contribution | Round::Model | Round::Verified | Round::Head => {
                self.knowledge.held.push((round, artefacts));
                self.learn_held(round)
            }
            // The sums are not for these eyes.
            _ if !self.knowledge.group.as_ref().expect(ORDER).reads_sums() => Ok(()),
            sum => {
                let total = self.sum(sum, &artefacts)?;
                self.knowledge.sums.push(Digest::of("ciphertune sum 1", [total.as_bytes()]));
                self.learn_sum(sum, &total)
            }
        }
    }

    fn learn_held(&mut self, round: Round) -> Result<()> {
        match round {
            Round::Ids => self.actor().check_ids(&self.received(round)),
            Round::Verified => {
                let actor = self.actor();
                actor.check_verified(actor.model_digest(&self.received(Round::Model)[0])?, &self.received(round))
            }
            Round::Head => self.learn_head(),
            _ => Ok(()),
        }
    }

    fn learn_head(&mut self) -> Result<()> {
        if self.knowledge.scaler.is_none()
            && let Some(bytes) = self.party.own.get(OWN_SCALER)?
        {
            self.knowledge.scaler = Some(Scaler::from_bytes(&bytes)?);
        }
        if let Some(scaler) = &self.knowledge.scaler {
            let head = self.actor().head(&self.received(Round::Head)[0], scaler)?;
            self.knowledge.head = head;
        }
        Ok(())
    }

    fn sum(&self, round: Round, artefacts: &[Artefact]) -> Result<Vector> {
        let features = self.proposal.features.count;
        let (width, len) = match round {
            Round::Means => (Width::Bits256, moments::means_len(features)),
            Round::Moments => (Width::Bits128, moments::moments_len(features)),
            _ => (Width::Bits128, self.knowledge.course.as_ref().expect(ORDER).len()),
        };
        let group = self.knowledge.group.as_ref().expect(ORDER);
        let mut vectors = Vec::with_capacity(artefacts.len());
        for Artefact { place, body, .. } in artefacts {
            let bytes = group.open(&place.file(), &place.from, body)?;
            let vector = Vector::from_bytes(width, len, bytes.to_vec());
            vectors.push(vector.ok_or_else(|| JointError::Body { name: place.file(), from: place.from.clone() })?);
        }
        Ok(masked::sum(vectors))
    }

    fn learn_sum(&mut self, round: Round, total: &Vector) -> Result<()> {
        let scaler = |moments| Scaler::from_moments(self.proposal.scaler.kind, self.proposal.scaler.lambda, moments);
        let known = &mut self.knowledge;
        match round {
            Round::Means => {
                let means = Means::from_sums(total, self.proposal.features.count)?;
                if self.proposal.plan().is_some_and(|plan| plan.shape().rows != means.rows) {
                    return Err(JointError::Sums("means"));
                }
                if self.proposal.scaler.kind == ScalerKind::Whiten {
                    let least = ROWS_A_FEATURE * self.proposal.features.count;
                    if means.rows < least && !self.proposal.accept_disclosure {
                        return Err(JointError::FewRows { rows: means.rows, least });
                    }
                } else {
                    known.scaler = Some(scaler(&means.without_pairs())?);
                }
                known.means = Some(means);
            }
            Round::Moments => {
                known.scaler = Some(scaler(&known.means.as_ref().expect(ORDER).table_moments(total)?)?);
            }
            _ => known.course.as_mut().expect(ORDER).advance(total),
        }
        if let (Mode::SecureSum, Some(training), Some(means), Some(_), None) =
            (self.proposal.mode, &self.proposal.training, &known.means, &known.scaler, &known.course)
        {
            known.course = Some(Course::new(training, means.rows, self.proposal.features.count));
        }
        Ok(())
    }

    /// The digest of all sums; of none with a key holder, where not everyone may know them.
    fn result(&self) -> Digest {
        let sums = if self.proposal.mode == Mode::SecureSum { &self.knowledge.sums[..] } else { &[] };
        Digest::of("ciphertune result 1", sums.iter().map(|digest| &digest.0[..]))
    }

    /// An artefact is missing: waits for it, or stops waiting.
    fn wait(mut self, round: Round, seq: u64) -> Result<Progress> {
        let mut missing = Vec::new();
        for owner in round.senders(self.proposal) {
            let place = self.at(round, seq, owner);
            if self.party.shared.get(&place.file())?.is_none() {
                missing.push(place.from);
            }
        }
        let is_late = self.party.now > self.proposal.deadline;
        // The sums are all there if only the last word is missing.
        if is_late && self.aborted.is_none() && self.turn.is_some() && round != Round::Done {
            let aborted = Aborted { round: round.to_string(), missing: missing.clone() };
            let json = serde_json::to_vec(&aborted).expect("names are JSON");
            self.party.own.put(ABORTED, &json)?;
            self.aborted = Some(aborted);
        }
        self.progress(round, missing)
    }

    fn progress(self, round: Round, waiting: Vec<String>) -> Result<Progress> {
        let outcome = match round {
            Round::Done => {
                let Knowledge { means, scaler, course, head, .. } = self.knowledge;
                let rows =
                    means.map(|means| means.rows).or(self.proposal.plan().map(|plan| plan.shape().rows)).expect(ORDER);
                let trained = course.zip(scaler.as_ref()).map(|(course, scaler)| course.head(self.proposal, scaler));
                Some(Outcome { rows, head: trained.transpose()?.or(head), scaler })
            }
            _ => None,
        };
        let is_late = self.party.now > self.proposal.deadline;
        let aborted = outcome.is_none() && (self.aborted.is_some() || is_late);
        Ok(Progress { round, waiting, aborted, sent: self.sent, outcome })
    }
}

fn damaged_secrets() -> JointError {
    JointError::Store(format!("{SECRETS} is damaged: restore it, or make a new session"))
}

/// Writes a name if it is not there, and returns what is: another call may have been faster.
fn keep(own: &dyn Store, name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    match own.put(name, bytes) {
        Ok(()) => Ok(bytes.to_vec()),
        Err(JointError::Rewritten(_)) => own.get(name)?.ok_or_else(|| JointError::Rewritten(name.to_owned())),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
