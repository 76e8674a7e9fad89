//! Sessions with a key holder: what each member makes of what the others sent, and the bodies of these artefacts.
//!
//! | artefact | body | payload |
//! |---|---|---|
//! | `keys.HOLDER` | for every owner its entry mask, sealed for it; digest | evaluation keys |
//! | `ids.OWNER` | HMAC-SHA256 of the rows' identifiers under a key of the pair | |
//! | `contribution.OWNER` | for the server and every verifier the entry key, sealed for it; digest | the contribution, under the owner's own key |
//! | `model.SERVER` | digest | the model |
//! | `verified.VERIFIER` | digest of the model that it made itself | |
//! | `head.HOLDER` | for every owner of features the weights with noise, sealed for it | |
//!
//! Payloads lie beside their artefact, under its name with `.data`; the artefact has their SHA-256, so they need no signature
//! of their own. Whoever reads one copies it first and compares, and uses the copy.
//!
//! What must not happen, and what prevents it:
//!
//! * *mask and entry key of one owner in one hand* show its secret: masks are sealed for the owner alone, entry keys for the
//!   server and verifiers alone. The key holder makes masks, so it must not be one of those, which the roster refuses;
//! * *a model that is none*, such as an owner's data: whoever is in the roster as verifier repeats the training, byte for byte,
//!   and the holder opens only what all verifiers found;
//! * *two openings of one model* show it with less noise: what was opened once is kept, and sent again.

use std::io::{Read, Write};

use ciphertune_ckks::{EntryKey, EntryMask, KeyId};
use ciphertune_head::job::JobId;
use ciphertune_head::job::owner::{self, Keys, OwnRows, ReleasedWeights};
use ciphertune_head::job::server::{ContributionReader, JobReader, enter};
use ciphertune_head::plan::Contribution;
use ciphertune_head::train::Returned;
use ciphertune_head::{FeatureTable, Head, Plan, Scaler};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

use crate::error::{JointError, Result};
use crate::hash::Digest;
use crate::identity::Identity;
use crate::proposal::{Proposal, Role, Training};
use crate::sealing::{self, pair_key};
use crate::store::{Source, Store};

/// The secret key of an owner or a key holder, in its own store.
pub const SECRET_KEY: &str = "secret.key";
/// The job that a server or verifier makes of the contributions, in its own store.
const JOB: &str = "entered.job";

/// The name of an artefact's payload.
pub fn payload(file: &str) -> String {
    format!("{file}.data")
}

/// A member at work, in a session whose digest is known.
pub struct Actor<'a> {
    /// What all agree on.
    pub proposal: &'a Proposal,
    /// The session.
    pub session: Digest,
    /// The member's keys.
    pub identity: &'a Identity,
    /// Its place in the roster.
    pub place: usize,
    /// What it keeps.
    pub own: &'a dyn Store,
    /// What all read and write.
    pub shared: &'a dyn Store,
    /// Bytes of memory that a training may take.
    pub memory: usize,
}

/// An artefact that was read: who it is from, its name, its body.
pub struct Received<'a> {
    /// The member's place in the roster.
    pub place: usize,
    /// Its name in the store.
    pub file: String,
    /// What it holds.
    pub body: &'a [u8],
}

/// Fields, each with its length.
fn fields(fields: &[Vec<u8>]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|field| (field.len() as u64).to_le_bytes().into_iter().chain(field.iter().copied()))
        .collect()
}

/// So many [`fields`]; `None` if there are more or fewer.
fn parse_fields(mut bytes: &[u8], count: usize) -> Option<Vec<&[u8]>> {
    let mut found = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, rest) = bytes.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        found.push(field);
        bytes = rest;
    }
    bytes.is_empty().then_some(found)
}

/// SHA-256 of what is read.
fn digest_of(source: &mut dyn Read) -> Result<Digest> {
    let mut hasher = Sha256::new();
    copy(source, &mut [&mut HashWriter(&mut hasher)])?;
    Ok(Digest(hasher.finalize().into()))
}

struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Copies everything that is read to all sinks.
fn copy(source: &mut dyn Read, sinks: &mut [&mut dyn Write]) -> Result<()> {
    let failed = |error: std::io::Error| JointError::Store(format!("a payload cannot be copied: {error}"));
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = source.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            return Ok(());
        }
        sinks.iter_mut().try_for_each(|sink| sink.write_all(&buffer[..count])).map_err(failed)?;
    }
}

impl Actor<'_> {
    fn training(&self) -> (&Training, &Plan) {
        let training = self.proposal.training.as_ref().expect("a session with a key holder has a training");
        (training, training.plan.as_ref().expect("and a plan"))
    }

    fn name(&self, place: usize) -> &str {
        &self.proposal.members[place].card.name
    }

    /// Names the job of the session, for everyone the same.
    fn job(&self) -> JobId {
        let digest = Digest::of("ciphertune job 1", [&self.session.0[..]]);
        KeyId::parse(&digest.to_string()[..32]).expect("32 hexadecimal digits")
    }

    fn contribution(&self, place: usize) -> (usize, Contribution) {
        self.proposal.contribution(place).expect("who gives has a contribution")
    }

    /// Who gets the entry keys.
    fn computing(&self) -> Vec<usize> {
        self.proposal.places(|role| matches!(role, Role::Server | Role::Verifier))
    }

    /// Who gets the head.
    fn receivers(&self) -> Vec<usize> {
        self.proposal.places(|role| matches!(role, Role::Rows | Role::Features))
    }

    /// The keys of this member, drawn the first time.
    fn keys(&self) -> Result<Keys> {
        let (_, plan) = self.training();
        if let Some(bytes) = self.own.get(SECRET_KEY)? {
            return Ok(Keys::from_bytes(plan, &zeroize::Zeroizing::new(bytes))?);
        }
        let keys = Keys::generate(plan)?;
        self.own.put(SECRET_KEY, &keys.secret_key_to_bytes()?)?;
        Ok(keys)
    }

    fn pair_key(&self, other: usize, what: &str, from: usize, to: usize) -> Result<sealing::Key> {
        let uses = [what, self.name(from), self.name(to)];
        let card = &self.proposal.members[other].card;
        pair_key(self.identity.sealing_secret(), &card.seal.0, &card.name, &self.session, &uses)
    }

    /// Seals bytes for another member.
    fn seal(&self, what: &str, to: usize, bytes: &[u8]) -> Result<Vec<u8>> {
        sealing::seal(&self.pair_key(to, what, self.place, to)?, what.as_bytes(), bytes)
    }

    /// Opens what another member sealed.
    fn open(&self, what: &str, received: &Received, sealed: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>> {
        let key = self.pair_key(received.place, what, received.place, self.place)?;
        let refused = || JointError::Sealed { name: received.file.clone(), from: self.name(received.place).to_owned() };
        sealing::open(&key, what.as_bytes(), sealed).ok_or_else(refused)
    }

    fn no_body(&self, received: &Received) -> JointError {
        JointError::Body { name: received.file.clone(), from: self.name(received.place).to_owned() }
    }

    /// The fields of an artefact that has one for each of `count` members and then a digest.
    fn with_payload<'b>(&self, received: &Received<'b>, count: usize) -> Result<(Vec<&'b [u8]>, Digest)> {
        let parsed = parse_fields(received.body, count + 1);
        let mut parsed = parsed.ok_or_else(|| self.no_body(received))?;
        let digest = parsed.pop().and_then(|digest| digest.try_into().ok());
        Ok((parsed, Digest(digest.ok_or_else(|| self.no_body(received))?)))
    }

    /// Writes a payload into this member's store, if it is not there, and returns its digest.
    fn make_payload(
        &self,
        file: &str,
        write: impl FnOnce(&mut dyn crate::store::Sink) -> Result<()>,
    ) -> Result<Digest> {
        let name = payload(file);
        if self.own.open(&name)?.is_none() {
            let mut write = Some(write);
            self.own.create(&name, &mut |sink| write.take().expect("called once")(sink))?;
        }
        let mut there = self.own.open(&name)?.ok_or_else(|| JointError::Store(format!("{name} is gone")))?;
        digest_of(&mut there)
    }

    /// Copies this member's payload to where all read it, if it is not there.
    ///
    /// # Errors
    ///
    /// [`JointError::Rewritten`] if another is there.
    pub fn share_payload(&self, file: &str) -> Result<()> {
        let name = payload(file);
        let Some(mut mine) = self.own.open(&name)? else { return Ok(()) };
        let Some(mut there) = self.shared.open(&name)? else {
            return self.shared.create(&name, &mut |sink| copy(&mut mine, &mut [sink]));
        };
        if digest_of(&mut there)? == digest_of(&mut mine)? { Ok(()) } else { Err(JointError::Rewritten(name)) }
    }

    /// This member's copy of another's payload, which is the one that its artefact names.
    fn fetch(&self, received: &Received, digest: Digest) -> Result<Box<dyn Source>> {
        let name = payload(&received.file);
        if self.own.open(&name)?.is_none() {
            let missing = || JointError::Payload { name: name.clone(), from: self.name(received.place).to_owned() };
            let mut there = self.shared.open(&name)?.ok_or_else(missing)?;
            self.own.create(&name, &mut |sink| {
                let mut hasher = Sha256::new();
                copy(&mut there, &mut [sink, &mut HashWriter(&mut hasher)])?;
                // Nothing is kept of another.
                if Digest(hasher.finalize_reset().into()) == digest { Ok(()) } else { Err(missing()) }
            })?;
        }
        self.own.open(&name)?.ok_or_else(|| JointError::Store(format!("{name} is gone")))
    }

    /// Holder: masks for all owners, and evaluation keys.
    pub fn make_keys(&self, file: &str) -> Result<Vec<u8>> {
        let (keys, parameters) = (self.keys()?, self.training().1.parameters()?);
        let digest = self.make_payload(file, |mut sink| Ok(keys.write_evaluation_keys(&mut sink)?))?;
        let mask = |&owner: &usize| self.seal("ciphertune mask 1", owner, &keys.entry_mask()?.to_bytes(&parameters)?);
        let mut sealed: Vec<Vec<u8>> = self.proposal.giving().iter().map(mask).collect::<Result<_>>()?;
        sealed.push(digest.0.to_vec());
        Ok(fields(&sealed))
    }

    /// Owner of features or labels: what tells its partner, and nobody else, whether both have the same rows in the same
    /// order. Without a partner, nothing.
    pub fn make_ids(&self, ids: Option<&[String]>) -> Result<Vec<u8>> {
        let Some(partner) = self.proposal.partner(self.place) else { return Ok(Vec::new()) };
        let missing =
            "the session compares the rows of features and labels: give the identifier of every row, with --ids";
        let ids = ids.ok_or_else(|| JointError::Proposal(missing.into()))?;
        self.proposal.check_rows(self.place, ids.len())?;
        let (first, second) = (self.place.min(partner), self.place.max(partner));
        let key = self.pair_key(partner, "ciphertune ids 1", first, second)?;
        let digest = Digest::of("ciphertune ids 1", ids.iter().map(String::as_bytes));
        let mut mac = Hmac::<Sha256>::new_from_slice(&key[..]).expect("any length serves");
        mac.update(&digest.0);
        Ok(mac.finalize().into_bytes().to_vec())
    }

    /// Refuses rows of features and labels that are not the same.
    pub fn check_ids(&self, received: &[Received]) -> Result<()> {
        for one in received {
            let Some(partner) = self.proposal.partner(one.place) else { continue };
            let other = received.iter().find(|other| other.place == partner);
            if other.is_none_or(|other| other.body != one.body) {
                let [a, b] = [one.place, partner].map(|place| self.name(place).to_owned());
                return Err(JointError::OtherRows { one: a, other: b });
            }
        }
        Ok(())
    }

    /// Owner: its rows, encrypted under its own key, and the entry key for those who compute.
    pub fn make_contribution(&self, file: &str, keys: &Received, own: &OwnRows) -> Result<Vec<u8>> {
        let parameters = self.training().1.parameters()?;
        let (index, _) = self.contribution(self.place);
        let (masks, _) = self.with_payload(keys, self.proposal.giving().len())?;
        let mask = self.open("ciphertune mask 1", keys, masks[index])?;
        let refused = |error| self.refused(keys, error);
        let mask = EntryMask::from_bytes(&parameters, &mask).map_err(|error| refused(error.into()))?;
        let secret = self.keys()?;
        let digest = self.make_payload(file, |mut sink| {
            Ok(owner::contribute(&secret, index, self.job(), own, &mut sink, &|_, _| Ok(())).map(drop)?)
        })?;
        let entry = secret.entry_key(mask).map_err(refused)?.to_bytes(&parameters)?;
        let seal = |&to: &usize| self.seal("ciphertune entry 1", to, &entry);
        let mut sealed: Vec<Vec<u8>> = self.computing().iter().map(seal).collect::<Result<_>>()?;
        sealed.push(digest.0.to_vec());
        Ok(fields(&sealed))
    }

    fn refused(&self, received: &Received, error: ciphertune_head::HeadError) -> JointError {
        JointError::Refused {
            name: received.file.clone(),
            from: self.name(received.place).to_owned(),
            error: Box::new(error),
        }
    }

    /// Server or verifier: enters all contributions and trains. Returns the digest of the model, which is kept as the
    /// payload of `file`.
    pub fn make_model(&self, file: &str, keys: &Received, contributions: &[Received]) -> Result<Digest> {
        let (_, plan) = self.training();
        let (_, digest) = self.with_payload(keys, self.proposal.giving().len())?;
        let evaluation_keys = self.fetch(keys, digest)?;
        if self.own.open(JOB)?.is_none() {
            let uploads = contributions.iter().map(|received| self.upload(received)).collect::<Result<Vec<_>>>()?;
            let mut uploads = Some(uploads);
            self.own.create(JOB, &mut |mut sink| {
                Ok(enter(uploads.take().expect("called once"), &mut sink, &|_, _| Ok(())).map(drop)?)
            })?;
        }
        let train = || -> std::result::Result<Vec<u8>, ciphertune_head::HeadError> {
            let gone = || ciphertune_head::HeadError::Mismatch("the entered job is gone: take this turn again".into());
            let job = JobReader::open(self.own.open(JOB).ok().flatten().ok_or_else(gone)?)?;
            let room = plan.allot(self.memory)?.room;
            let keys = job.open_keys(evaluation_keys)?.read()?;
            job.read(keys, room)?.train(Returned::Last)?.to_bytes()
        };
        let model = train().map_err(|error| self.refused(keys, error))?;
        self.make_payload(file, |sink| copy(&mut &model[..], &mut [sink]))
    }

    /// A contribution with its entry key, both checked against who sent them.
    fn upload(
        &self,
        received: &Received,
    ) -> Result<(ciphertune_head::job::server::ContributionUpload<Box<dyn Source>>, EntryKey)> {
        let (_, plan) = self.training();
        let computing = self.computing();
        let (sealed, digest) = self.with_payload(received, computing.len())?;
        let mine = computing.iter().position(|place| *place == self.place).expect("who computes has an entry key");
        let key = self.open("ciphertune entry 1", received, sealed[mine])?;
        let refused = |error| self.refused(received, error);
        let key = EntryKey::from_bytes(&plan.parameters()?, &key).map_err(|error| refused(error.into()))?;
        let reader = ContributionReader::open(self.fetch(received, digest)?).map_err(refused)?;
        let (index, _) = self.contribution(received.place);
        if reader.plan() != plan || reader.job() != self.job() || reader.index() != index || reader.key() != key.from()
        {
            return Err(self.no_body(received));
        }
        Ok((reader.read().map_err(refused)?, key))
    }

    /// The digest of the model that the server announced.
    pub fn model_digest(&self, model: &Received) -> Result<Digest> {
        Ok(self.with_payload(model, 0)?.1)
    }

    /// The body of an artefact whose payload is a model.
    pub fn model_body(digest: Digest) -> Vec<u8> {
        fields(&[digest.0.to_vec()])
    }

    /// Refuses a model that a verifier made otherwise.
    pub fn check_verified(&self, model: Digest, verified: &[Received]) -> Result<()> {
        match verified.iter().find(|received| received.body != Self::model_body(model)) {
            None => Ok(()),
            Some(other) => Err(JointError::NotVerified { verifier: self.name(other.place).to_owned() }),
        }
    }

    /// Holder: opens the model, with noise, for all who have features.
    pub fn make_head(&self, model: &Received) -> Result<Vec<u8>> {
        let digest = self.model_digest(model)?;
        let mut bytes = Vec::new();
        copy(&mut self.fetch(model, digest)?, &mut [&mut bytes])?;
        let opened = owner::open_weights(&self.keys()?, self.job(), &bytes, 1);
        let opened = opened.map_err(|error| self.refused(model, error))?.to_bytes()?;
        let seal = |&to: &usize| self.seal("ciphertune head 1", to, &opened);
        Ok(fields(&self.receivers().iter().map(seal).collect::<Result<Vec<_>>>()?))
    }

    /// Owner of features: the head for raw features. `None` for others.
    pub fn head(&self, received: &Received, scaler: &Scaler) -> Result<Option<Head>> {
        let receivers = self.receivers();
        let parsed = parse_fields(received.body, receivers.len()).ok_or_else(|| self.no_body(received))?;
        let Some(mine) = receivers.iter().position(|place| *place == self.place) else { return Ok(None) };
        let bytes = self.open("ciphertune head 1", received, parsed[mine])?;
        let (training, plan) = self.training();
        let refused = |error| self.refused(received, error);
        let weights = ReleasedWeights::from_bytes(plan, &bytes).map_err(refused)?;
        if weights.job() != self.job() {
            return Err(self.no_body(received));
        }
        let head = weights.head(plan, scaler, training.all_classes()?).map_err(refused)?;
        self.proposal.features.mark(head).map(Some)
    }

    /// The scaler of an owner who has all features; of several they fit it together.
    pub fn own_scaler(&self, table: &FeatureTable) -> Result<Scaler> {
        let scaler = &self.proposal.scaler;
        Ok(Scaler::fit(scaler.kind, scaler.lambda, table.features())?)
    }
}

#[cfg(test)]
mod tests;
