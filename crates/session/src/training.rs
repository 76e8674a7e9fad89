//! Trainings whose state outlives the process ([`crate::state_folder`]): they go on where they stood, and give the model
//! that an unbroken training gives, byte for byte.
//!
//! In one chain there is a checkpoint after every iteration. With refreshes the owner's answer is the checkpoint: the
//! gradient at it is computed again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ciphertune_head::Plan;
use ciphertune_head::job::MODEL;
use ciphertune_head::job::refresh::Place;
use ciphertune_head::layout::upload::Room;
use ciphertune_head::plan::Refresh;

use crate::error::{Error, InFile, Result};
use crate::files::{Document, NewFile, Privacy, Source};
use crate::observer::Observer;
use crate::server::{self, Job, Refreshing, Reply, Trained};
use crate::state_folder::{Kind, StateFolder};

/// How often a folder is looked at.
const PERIOD: Duration = Duration::from_millis(50);
/// A file that is no document after so long without a change is not being copied any more.
const SETTLED: Duration = Duration::from_secs(3);

/// How far a training came.
pub enum Progress {
    /// It waits for the owner's answer to a request.
    Waits {
        /// t.
        iteration: usize,
        /// The request's file.
        request: PathBuf,
    },
    /// It is done; the model is written.
    Done(Trained),
}

/// Where answers come from while a training waits.
pub enum Answers {
    /// From nowhere: it ends, and goes on when it is resumed.
    Later,
    /// This one.
    Given(Document),
    /// From a folder, into which requests are written.
    Folder {
        /// The folder.
        path: PathBuf,
        /// How long to wait for each; `None` for ever.
        timeout: Option<Duration>,
    },
}

/// Trains from a state on until the model is written or an answer is missing.
///
/// # Errors
///
/// As [`server::train`]; for an answer that does not belong to the last request.
pub fn train(
    state: &mut StateFolder,
    job: Job,
    room: Room,
    mut answers: Answers,
    out: &NewFile,
    observer: &dyn Observer,
) -> Result<Progress> {
    let keys = Source::open(&state.training().eval_keys)?;
    let plan = job.plan().clone();
    let trained = if plan.refresh() == Refresh::Never {
        in_one_chain(state, job, keys, room, observer)?
    } else {
        match refreshed(state, &plan, job, keys, room, &mut answers, observer)? {
            Progress::Done(trained) => trained,
            waits => return Ok(waits),
        }
    };
    out.write(&trained.model)?;
    let mut training = state.training().clone();
    training.done = true;
    state.note(training)?;
    Ok(Progress::Done(trained))
}

fn in_one_chain(state: &StateFolder, job: Job, keys: Source, room: Room, observer: &dyn Observer) -> Result<Trained> {
    let checkpoint = state.last(Kind::Checkpoint)?.map(|t| state.read(Kind::Checkpoint, t)).transpose()?;
    let mut failed = None;
    let mut save = |t: usize, checkpoint: Option<Vec<u8>>| {
        let written = checkpoint.map_or(Ok(()), |bytes| state.write(Kind::Checkpoint, t, &bytes));
        failed = written.err();
        failed.is_none()
    };
    let trained = server::train_saving(job, keys, room, checkpoint.as_ref(), &mut save, observer);
    match failed {
        Some(error) => Err(error),
        None => trained,
    }
}

fn refreshed(
    state: &StateFolder,
    plan: &Plan,
    job: Job,
    keys: Source,
    room: Room,
    answers: &mut Answers,
    observer: &dyn Observer,
) -> Result<Progress> {
    let (mut asked, answered) = (state.last(Kind::Request)?.unwrap_or(0), state.last(Kind::Answer)?.unwrap_or(0));
    // Nothing is loaded for a training that has to wait.
    if asked > 0 && answered < asked && matches!(answers, Answers::Later) {
        return Ok(Progress::Waits { iteration: asked, request: state.place(Kind::Request, asked) });
    }
    let mut server = Refreshing::new(job, keys, room, asked, observer)?;
    let mut reply = if asked == 0 { Some(server.first()?) } else { None };
    loop {
        match reply.take() {
            Some(Reply::Model(trained)) => return Ok(Progress::Done(trained)),
            Some(Reply::Request(request)) => {
                asked += 1;
                state.write(Kind::Request, asked, &request)?;
            }
            None => {}
        }
        if let Answers::Folder { path, .. } = answers
            && path != state.path()
        {
            put(path, Kind::Request, asked, &state.read(Kind::Request, asked)?.bytes)?;
        }
        let request = state.read(Kind::Request, asked)?;
        let mut stored = state.place(Kind::Answer, asked);
        if let Answers::Given(given) = &*answers
            && stored.is_file()
            && given.bytes != state.read(Kind::Answer, asked)?.bytes
        {
            server.check(&request.bytes, &given.bytes).in_file(&given.path)?;
            let message = "the state holds another answer to this request already: go on with resume, without --answer";
            return Err(Error::input(message).in_file(&given.path));
        }
        let answer = match stored.is_file() && !is_shared(answers, state) {
            true => state.read(Kind::Answer, asked)?,
            false => {
                let found = match std::mem::replace(answers, Answers::Later) {
                    Answers::Given(document) => document,
                    Answers::Later => return Ok(Progress::Waits { iteration: asked, request: request.path }),
                    Answers::Folder { path, timeout } => {
                        let place = path.join(Kind::Answer.file_name(asked));
                        let waited = wait_for(&place, timeout, observer, |bytes| Place::of_answer(bytes).map(drop));
                        *answers = Answers::Folder { path, timeout };
                        match waited? {
                            Some(document) => document,
                            None => return Ok(Progress::Waits { iteration: asked, request: request.path }),
                        }
                    }
                };
                server.check(&request.bytes, &found.bytes).in_file(&found.path)?;
                // From here on a kill loses nothing that the owner has done.
                state.write(Kind::Answer, asked, &found.bytes)?;
                stored = found.path;
                Document { path: stored.clone(), bytes: found.bytes }
            }
        };
        debug_assert!(asked < plan.recipe().iterations());
        reply = Some(server.after(asked, &request.bytes, &answer.bytes).in_file(&stored)?);
    }
}

/// Whether answers come into the state itself, where somebody else writes them: those are checked first.
fn is_shared(answers: &Answers, state: &StateFolder) -> bool {
    matches!(answers, Answers::Folder { path, .. } if path == state.path())
}

/// Writes a document into a folder that is shared with somebody else, for whom it is.
pub fn put(folder: &Path, kind: Kind, t: usize, bytes: &[u8]) -> Result<()> {
    NewFile::plan(&folder.join(kind.file_name(t)), Privacy::Public, true)?.write(bytes)
}

/// Waits until there is a document at a place, and nobody writes it any more. `None` if it took too long.
///
/// # Errors
///
/// For a file that is none, and has not changed for some seconds; if the observer asks for the work to stop.
pub fn wait_for(
    place: &Path,
    timeout: Option<Duration>,
    observer: &dyn Observer,
    check: impl Fn(&[u8]) -> ciphertune_head::Result<()>,
) -> Result<Option<Document>> {
    let began = Instant::now();
    let mut seen: Option<(usize, Instant)> = None;
    loop {
        if observer.is_stopped() {
            return Err(Error::stopped());
        }
        if place.is_file() {
            let document = Document::read(place)?;
            let size = document.bytes.len();
            match check(&document.bytes) {
                Ok(()) => return Ok(Some(document)),
                Err(error) => match seen {
                    Some((before, since)) if before == size && since.elapsed() > SETTLED => {
                        return Err(error).in_file(place);
                    }
                    Some((before, _)) if before == size => {}
                    _ => seen = Some((size, Instant::now())),
                },
            }
        }
        if timeout.is_some_and(|timeout| began.elapsed() >= timeout) {
            return Ok(None);
        }
        std::thread::sleep(PERIOD);
    }
}

/// Whether there is a model of a job at a place already: the training was killed between writing and noting it.
pub fn is_written(out: &Path, job_id: &str) -> bool {
    use ciphertune_ckks::container::Container;
    let Ok(document) = Document::read(out) else { return false };
    let Ok(container) = Container::parse(&document.bytes, MODEL, ciphertune_head::job::MODEL_FORMAT) else {
        return false;
    };
    ciphertune_head::job::job_id_of(container.header()).is_ok_and(|job| job.to_string() == job_id)
}
