//! Trainings that their owner refreshes, against the plaintext twin, through the documents that go to and fro.

mod common;

use std::io::Cursor;

use ciphertune_ckks::arithmetic::Arithmetic;
use ciphertune_ckks::container::{Container, ContainerStream, ContainerWriter};
use ciphertune_ckks::{Ciphertext, files};
use ciphertune_head::job::owner::{self, Course, HeldOut, Keys, Record};
use ciphertune_head::job::refresh::{ANSWER, FORMAT, Place, REQUEST};
use ciphertune_head::job::server::{Refreshed, Reply, Trainer};
use ciphertune_head::layout::{Layout, LayoutKind};
use ciphertune_head::plan::{Constraints, Refresh};
use ciphertune_head::recipe::{Fit, Preset, RecipeOverrides, Sigmoid, Stopping, Verdict};
use ciphertune_head::train::Returned;
use ciphertune_head::{DMatrix, FeatureTable, Head, HeadError, Plan, Recipe, precondition, twin};
use common::{Job, encrypt, plan_for, table, toy};

fn refreshed(layout: LayoutKind) -> Constraints {
    Constraints { refresh: Refresh::EveryIteration, ..toy(layout) }
}

/// An owner with its job, and the server that trains on it.
struct Parties {
    plan: Plan,
    keys: Keys,
    evaluation_keys: Vec<u8>,
    job: Job,
}

impl Parties {
    fn new(table: &FeatureTable, recipe: &Recipe, layout: LayoutKind) -> Self {
        let plan = plan_for(table, recipe, &refreshed(layout));
        let keys = Keys::generate(&plan).unwrap();
        let mut evaluation_keys = Vec::new();
        keys.write_evaluation_keys(&mut evaluation_keys).unwrap();
        let job = encrypt(&keys, table, None).unwrap();
        Self { plan, keys, evaluation_keys, job }
    }

    fn server(&self) -> Refreshed<Cursor<&[u8]>> {
        Trainer::new(&self.job.upload, &self.evaluation_keys).unwrap().into_refreshed().unwrap()
    }

    fn course(&self) -> Course {
        Course::new(&self.keys, self.job.record.job())
    }
}

fn request(reply: Reply) -> Vec<u8> {
    match reply {
        Reply::Request(bytes) => bytes,
        Reply::Model(_) => panic!("the model came too early"),
    }
}

/// Everything that went to and fro, and the courses.
struct Rounds {
    requests: Vec<Vec<u8>>,
    answers: Vec<Vec<u8>>,
    courses: Vec<Course>,
    model: Vec<u8>,
    counts: ciphertune_ckks::Counts,
}

fn train(parties: &Parties) -> Rounds {
    let server = parties.server();
    let mut rounds = Rounds {
        requests: Vec::new(),
        answers: Vec::new(),
        courses: vec![parties.course()],
        model: Vec::new(),
        counts: Default::default(),
    };
    let mut reply = server.first().unwrap();
    loop {
        match reply {
            Reply::Request(request) => {
                let stepped = rounds.courses.last().unwrap().answer(&parties.keys, &request).unwrap();
                reply = server.after(&request, &stepped.answer).unwrap();
                rounds.requests.push(request);
                rounds.answers.push(stepped.answer);
                rounds.courses.push(stepped.course);
            }
            Reply::Model(model) => {
                rounds.counts = model.counts();
                rounds.model = model.to_bytes().unwrap();
                return rounds;
            }
        }
    }
}

/// The record with the last course.
fn record(parties: &Parties, rounds: &Rounds) -> Record {
    parties.job.record.clone().with_course(rounds.courses.last().unwrap().clone())
}

/// W after every iteration in the coordinates that are trained in, in the clear.
fn twins(parties: &Parties, table: &FeatureTable) -> Vec<DMatrix<f64>> {
    let (record, recipe) = (&parties.job.record, parties.plan.recipe());
    let x = record.scaler().apply_with_ones(table.features()).unwrap();
    let problem = precondition::Preconditioned::new(recipe, &x).unwrap();
    let labels = record.classes().indices(table.labels().unwrap()).unwrap();
    let to_u = |weights: &DMatrix<f64>| {
        DMatrix::from_fn(weights.nrows(), weights.ncols(), |c, k| match problem.unscale[k] {
            0.0 => 0.0,
            s => weights[(c, k)] / s,
        })
    };
    let iterates = twin::train(recipe, &x, &labels, record.classes().len());
    iterates.iter().map(|iterate| to_u(&iterate.weights)).collect()
}

/// Trains, and compares every iterate with the twin's and the work with the plan's.
fn agrees_with_its_twin(table: &FeatureTable, recipe: &Recipe, layout: LayoutKind) {
    let parties = Parties::new(table, recipe, layout);
    let rounds = train(&parties);
    let estimate = parties.plan.estimate().unwrap();
    assert_eq!(rounds.counts.key_switches, estimate.operations.key_switches, "the plan counts what is done");
    assert_eq!(rounds.counts.products, estimate.operations.products);
    assert_eq!(rounds.requests.len(), recipe.iterations() - 1);
    let twins = twins(&parties, table);
    let found = owner::decrypt_weights(&parties.keys, &record(&parties, &rounds), &rounds.model).unwrap();
    let all = rounds.courses[1..].iter().map(Course::weights).chain(found.iter().map(|(_, w)| w));
    assert_eq!(all.clone().count(), recipe.iterations());
    for (t, (w, twin)) in all.zip(&twins).enumerate() {
        let error = (w - twin).amax();
        assert!(error < estimate.weight_bound(), "{layout} iteration {}: {error:e}", t + 1);
    }
    let head = owner::decrypt(&parties.keys, &record(&parties, &rounds), &rounds.model).unwrap();
    assert_eq!(head.heads.len(), 1);
}

#[test]
fn every_iterate_agrees_with_the_twin_in_both_layouts_for_any_number_of_iterations() {
    let table = table(60, 12, 3, 1);
    for layout in [LayoutKind::ClassDiagonal, LayoutKind::VolleyRevolver] {
        let shrinking = RecipeOverrides { decay: Some(0.5), ridge: Some(0.0), ..Default::default() };
        for recipe in [1, 2, 3, 12]
            .map(|t| Recipe::default_for(t).unwrap())
            .into_iter()
            .chain([Preset::Default.recipe(6, &shrinking).unwrap()])
        {
            agrees_with_its_twin(&table, &recipe, layout);
        }
    }
}

#[test]
fn minibatches_and_wider_sigmoids_agree_with_the_twin_over_more_than_an_epoch() {
    for (rows, most, sigmoid) in [(300, 100, Some(Sigmoid::Fit(Fit::Seven))), (301, 60, None), (90, 40, None)] {
        let overrides = RecipeOverrides { batch: Some(most), sigmoid, decay: Some(1.0), ..Default::default() };
        let recipe = Preset::Default.recipe(rows / most + 3, &overrides).unwrap();
        agrees_with_its_twin(&table(rows, 12, 3, 1), &recipe, LayoutKind::ClassDiagonal);
    }
}

#[test]
fn what_travels_is_as_large_as_planned() {
    let parties = Parties::new(&table(60, 12, 3, 1), &Recipe::default_for(3).unwrap(), LayoutKind::ClassDiagonal);
    let (rounds, exchange) = (train(&parties), parties.plan.exchange().unwrap());
    for (documents, bytes) in [(&rounds.requests, exchange.request_bytes), (&rounds.answers, exchange.answer_bytes)] {
        for document in documents {
            // Beside the ciphertexts there is a header with the plan.
            let beside = document.len() as isize - bytes as isize;
            assert!((0..8_192).contains(&beside), "{} instead of {bytes}", document.len());
        }
    }
}

#[test]
fn the_same_answer_gives_the_same_reply_after_the_server_began_again() {
    let parties = Parties::new(&table(60, 12, 3, 1), &Recipe::default_for(3).unwrap(), LayoutKind::ClassDiagonal);
    let rounds = train(&parties);
    let again = parties.server();
    assert_eq!(request(again.first().unwrap()), rounds.requests[0]);
    assert_eq!(request(again.after(&rounds.requests[0], &rounds.answers[0]).unwrap()), rounds.requests[1]);
    let Reply::Model(model) = again.after(&rounds.requests[1], &rounds.answers[1]).unwrap() else {
        panic!("three iterations take two answers");
    };
    assert_eq!(model.to_bytes().unwrap(), rounds.model);
}

fn refused<T>(outcome: ciphertune_head::Result<T>) -> String {
    outcome.err().expect("a refusal").to_string()
}

#[test]
fn a_server_refuses_answers_that_do_not_follow_from_its_request() {
    let (rows, recipe) = (table(60, 12, 3, 1), Recipe::default_for(4).unwrap());
    let parties = Parties::new(&rows, &recipe, LayoutKind::ClassDiagonal);
    let (rounds, server) = (train(&parties), parties.server());
    let [first, second, _] = &rounds.requests[..] else { panic!() };
    let [to_first, to_second, to_third] = &rounds.answers[..] else { panic!() };

    // Another job of the same keys, and another key.
    let other_job = Parties {
        job: encrypt(&parties.keys, &rows, None).unwrap(),
        plan: parties.plan.clone(),
        ..Parties::new(&rows, &recipe, LayoutKind::ClassDiagonal)
    };
    let keys = Keys::from_bytes(&parties.plan, &parties.keys.secret_key_to_bytes().unwrap()).unwrap();
    let other_job = Parties { keys, evaluation_keys: parties.evaluation_keys.clone(), ..other_job };
    let other_key = Parties::new(&rows, &recipe, LayoutKind::ClassDiagonal);
    for other in [&other_job, &other_key] {
        let answer = &train(other).answers[0];
        assert!(refused(server.after(first, answer)).contains("belongs to job"));
    }
    assert!(refused(server.after(second, to_first)).contains("continue with resume"));
    assert!(refused(server.after(first, to_second)).contains("not made from request 1"));
    assert!(refused(server.after(second, to_third)).contains("not made from request 2"));
    // A second answer to the same request, which the owner gives no more, but may have given before a loss of its steps.
    let again = parties.course().answer(&parties.keys, first).unwrap().answer;
    assert_ne!(&again, to_first);
    assert!(server.after(first, &again).is_ok());
    // In the place of one another.
    assert!(server.after(first, first).is_err());
    assert!(server.after(to_first, to_first).is_err());
    for position in [0, 9, to_first.len() / 3, to_first.len() / 2, to_first.len() - 1] {
        assert!(server.after(first, &to_first[..position]).is_err(), "cut at {position}");
        let mut damaged = to_first.clone();
        damaged[position] ^= 4;
        assert!(server.after(first, &damaged).is_err(), "a bit flipped at {position}");
    }
}

/// A document with other metadata or another gradient, whose digest fits again.
fn rewritten(parties: &Parties, document: &[u8], changed: &[(&str, &str)], scale: f64) -> Vec<u8> {
    let parameters = parties.plan.parameters().unwrap();
    let container = Container::parse(document, REQUEST, FORMAT).unwrap();
    let own = ["kind", "version", "digest", "packed", "row-digests"];
    let mut writer = ContainerWriter::new(REQUEST, FORMAT);
    for (key, value) in container.all_metadata().iter().filter(|(key, _)| !own.contains(&key.as_str())) {
        let changed = changed.iter().find(|(name, _)| name == key);
        writer = writer.metadata(key, changed.map_or(value.as_str(), |(_, value)| value));
    }
    let evaluator = parties.server().evaluator();
    let gradient = files::read_full(&parameters, &container, "gradient").unwrap();
    let gradient: Vec<Ciphertext> = gradient.iter().map(|c| evaluator.with_scale(c, c.scale() * scale)).collect();
    files::write_full(writer, &parameters, "gradient", &gradient).to_bytes().unwrap()
}

#[test]
fn an_owner_refuses_requests_on_public_grounds_alone() {
    let (rows, recipe) = (table(60, 12, 3, 1), Recipe::default_for(4).unwrap());
    let parties = Parties::new(&rows, &recipe, LayoutKind::ClassDiagonal);
    let rounds = train(&parties);
    let (keys, courses, requests) = (&parties.keys, &rounds.courses, &rounds.requests);

    assert!(refused(courses[0].answer(keys, &requests[1])).contains("next step is that of iteration 1"));
    assert!(refused(courses[2].answer(keys, &requests[1])).contains("next step is that of iteration 3"));
    // The owner's steps of another training of the same job: its answers are others.
    let elsewhere = courses[0].answer(keys, &requests[0]).unwrap().course;
    assert!(refused(elsewhere.answer(keys, &requests[1])).contains("not made from the answer to request 1"));
    let other = Parties::new(&rows, &recipe, LayoutKind::ClassDiagonal);
    assert!(refused(other.course().answer(&other.keys, &requests[0])).contains("encrypted under key"));
    let foreign = rewritten(&parties, &requests[0], &[("job-id", &"0".repeat(32))], 1.0);
    assert!(refused(courses[0].answer(keys, &foreign)).contains("another job"));
    for iteration in ["0", "4", "5", "x", "18446744073709551615"] {
        let wrong = rewritten(&parties, &requests[0], &[("iteration", iteration)], 1.0);
        assert!(courses[0].answer(keys, &wrong).is_err(), "{iteration}");
    }
    let rescaled = rewritten(&parties, &requests[0], &[], 2.0);
    assert!(refused(courses[0].answer(keys, &rescaled)).contains("number, level and scale"));
    for position in [0, 9, requests[0].len() / 2, requests[0].len() - 1] {
        assert!(courses[0].answer(keys, &requests[0][..position]).is_err());
        let mut damaged = requests[0].clone();
        damaged[position] ^= 4;
        assert!(courses[0].answer(keys, &damaged).is_err());
    }
    // And a model that ends another training, or comes too early.
    let early = parties.job.record.clone().with_course(courses[1].clone());
    assert!(
        refused(owner::decrypt(keys, &early, &rounds.model)).contains("not made from the owner's answer to request 3")
    );
    assert!(refused(owner::decrypt(keys, &parties.job.record, &rounds.model)).contains("steps are missing"));
    let trainer = Trainer::new(&parties.job.upload, &parties.evaluation_keys).unwrap();
    assert!(refused(trainer.train(Returned::Last)).contains("--state"));
}

#[test]
fn a_gradient_out_of_range_is_answered_as_any_other_and_reported_at_the_end() {
    let (rows, recipe) = (table(60, 12, 3, 1), Recipe::default_for(3).unwrap());
    let parties = Parties::new(&rows, &recipe, LayoutKind::ClassDiagonal);
    let server = parties.server();
    let honest = request(server.first().unwrap());
    // The server multiplies what it returns by 2^20: the values wrap around the modulus.
    let (parameters, evaluator) = (parties.plan.parameters().unwrap(), server.evaluator());
    let container = Container::parse(&honest[..], REQUEST, FORMAT).unwrap();
    let gradient = files::read_full(&parameters, &container, "gradient").unwrap();
    let huge: Vec<Ciphertext> = gradient
        .iter()
        .map(|c| evaluator.with_scale(&evaluator.mul_scalar(c, 1.0, 2f64.powi(20)).unwrap(), c.scale()))
        .collect();
    let mut writer = ContainerWriter::new(REQUEST, FORMAT);
    for key in ["plan", "job-id", files::KEY_ID, files::PARAMETERS_DIGEST, "iteration"] {
        writer = writer.metadata(key, container.metadata(key).unwrap());
    }
    let forged = files::write_full(writer, &parameters, "gradient", &huge).to_bytes().unwrap();

    let (course, honest_stepped) = (parties.course(), parties.course().answer(&parties.keys, &honest).unwrap());
    let stepped = course.answer(&parties.keys, &forged).expect("nothing that was decrypted decides");
    assert_eq!(stepped.answer.len(), honest_stepped.answer.len(), "nor shows in the answer's size");
    assert_eq!((stepped.course.diverged(), honest_stepped.course.diverged()), (Some(1), None));
    assert!(stepped.course.weights().amax() <= 16.0);
    let second = request(server.after(&forged, &stepped.answer).unwrap());
    let last = stepped.course.answer(&parties.keys, &second).unwrap();
    let Reply::Model(model) = server.after(&second, &last.answer).unwrap() else { panic!() };
    let course = Course::from_bytes(&parties.keys, &last.course.to_bytes().unwrap()).unwrap();
    let record = parties.job.record.clone().with_course(course);
    let error = owner::decrypt(&parties.keys, &record, &model.to_bytes().unwrap()).unwrap_err();
    assert!(matches!(error, HeadError::DivergedAt { iteration: 1 }), "{error}");
}

#[test]
fn a_training_ends_when_held_out_rows_are_judged_no_better_and_its_model_is_the_best_iterate() {
    let (rows, held_out) = (table(60, 12, 3, 1), table(40, 12, 3, 2));
    let parties = Parties::new(&rows, &Recipe::default_for(12).unwrap(), LayoutKind::ClassDiagonal);
    let (server, record, stopping) = (parties.server(), &parties.job.record, Stopping::new(2).unwrap());
    let judge = HeldOut { record, rows: &held_out, stopping };
    let (mut course, mut asked) = (parties.course(), request(server.first().unwrap()));
    let (last, ended) = loop {
        let stepped = course.answer_or_stop(&parties.keys, &asked, Some(&judge)).unwrap();
        course = Course::from_bytes(&parties.keys, &stepped.course.to_bytes().unwrap()).unwrap();
        assert_eq!(course, stepped.course);
        match server.after(&asked, &stepped.answer).unwrap() {
            Reply::Request(next) => asked = next,
            Reply::Model(model) => break (stepped.answer, model.to_bytes().unwrap()),
        }
    };

    // As the twin would end.
    let (twins, mut expected) = (twins(&parties, &rows), stopping);
    let head = |w: &DMatrix<f64>| {
        let head = Head::from_scaled(record.scaler(), w, record.classes().clone(), parties.plan.recipe());
        head.unwrap().evaluate(&held_out).unwrap().right
    };
    let after = (1..).zip(&twins).find(|(t, w)| expected.observe(*t, head(w)) == Verdict::Stop).unwrap().0;
    assert!(course.ended().is_some() && after < 12);
    assert_eq!((course.iteration(), course.best()), (after, expected.best()));
    let best = expected.best().unwrap().iteration;
    let found = owner::decrypt_weights(&parties.keys, &record.clone().with_course(course.clone()), &ended).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, best);
    let error = (&found[0].1 - &twins[best - 1]).amax();
    assert!(error < parties.plan.estimate().unwrap().weight_bound(), "{error:e}");

    // Nothing that was decrypted is in what the server has, and nothing goes on.
    assert!(last.len() < 8_192 && ended.len() < 8_192, "{} {}", last.len(), ended.len());
    assert!(refused(course.answer(&parties.keys, &asked)).contains("were ended after iteration"));
    let first = request(server.first().unwrap());
    assert!(refused(server.after(&first, &last).map(drop)).contains("not made from request"));
    let unended = record.clone().with_course(parties.course());
    assert!(refused(owner::decrypt(&parties.keys, &unended, &ended)).contains("not made from the owner's answer"));
}

#[test]
fn a_course_survives_its_file_and_serves_only_its_keys() {
    let (rows, recipe) = (table(60, 12, 3, 1), Recipe::default_for(3).unwrap());
    let parties = Parties::new(&rows, &recipe, LayoutKind::ClassDiagonal);
    for course in &train(&parties).courses {
        let bytes = course.to_bytes().unwrap();
        assert_eq!(&Course::from_bytes(&parties.keys, &bytes).unwrap(), course);
        assert!(Course::from_bytes(&parties.keys, &bytes[..bytes.len() - 1]).is_err());
        let other = Parties::new(&rows, &recipe, LayoutKind::ClassDiagonal);
        assert!(Course::from_bytes(&other.keys, &bytes).is_err());
    }
}

#[test]
fn answers_are_fresh_encryptions_that_depend_on_nothing_but_the_weights() {
    let (rows, recipe) = (table(60, 12, 3, 1), Recipe::default_for(2).unwrap());
    let parties = Parties::new(&rows, &recipe, LayoutKind::ClassDiagonal);
    let first = request(parties.server().first().unwrap());
    let (parameters, literal) = (parties.plan.parameters().unwrap(), parties.plan.literal());
    let encoder = ciphertune_ckks::Encoder::new(literal.log_n);
    let secret = files::secret_key_from_bytes(&parameters, &parties.keys.secret_key_to_bytes().unwrap()).unwrap();
    let (mut squares, mut count, mut residues) = (0.0, 0usize, Vec::new());
    for _ in 0..200 {
        let stepped = parties.course().answer(&parties.keys, &first).unwrap();
        assert_eq!(Place::of_answer(&stepped.answer).unwrap().iteration, 1);
        let stream = ContainerStream::open(Cursor::new(&stepped.answer), ANSWER, FORMAT).unwrap();
        let weights = files::read_seeded(&parameters, stream, &["weights"]).unwrap().pop().unwrap();
        let packed = parties.plan.layout().pack_weights(&v_after_one_step(&stepped.course, &parties));
        for (ciphertext, packed) in weights.iter().zip(&packed) {
            let slots = ciphertune_ckks::decrypt(&parameters, &secret, &encoder, ciphertext);
            let error = |(found, sent): (&ciphertune_ckks::Complex64, &ciphertune_ckks::Complex64)| {
                (found - sent).norm_sqr() * ciphertext.scale() * ciphertext.scale()
            };
            squares += slots.iter().zip(packed).map(error).sum::<f64>();
            count += slots.len();
        }
        let container = Container::parse(&stepped.answer[..], ANSWER, FORMAT).unwrap();
        residues.push(container.tensor("weights.seed").unwrap().u8s().unwrap().to_vec());
    }
    // Error and rounding of every coefficient: sigma = 3.19, and 1/12.
    let predicted = (1u64 << literal.log_n) as f64 * (3.19f64.powi(2) + 1.0 / 12.0);
    let ratio = squares / count as f64 / predicted;
    assert!((0.95..1.05).contains(&ratio), "variance {ratio} of a fresh ciphertext's");
    residues.sort();
    residues.dedup();
    assert_eq!(residues.len(), 200, "every answer draws its own uniform half");
}

/// V_1 is W_1 where eta_1 is 0, as it is with a_0 = 1.
fn v_after_one_step(course: &Course, parties: &Parties) -> DMatrix<f64> {
    assert_eq!(parties.plan.schedule().eta(1), 0.0);
    course.weights().clone()
}

#[test]
fn nothing_that_goes_to_the_server_holds_a_weight_or_the_secret() {
    let parties = Parties::new(&table(60, 12, 3, 1), &Recipe::default_for(3).unwrap(), LayoutKind::ClassDiagonal);
    let rounds = train(&parties);
    let secret = parties.keys.secret_key_to_bytes().unwrap();
    let container = Container::parse(&secret[..], files::SECRET_KEY, files::SECRET_KEY_FORMAT).unwrap();
    let coefficients: Vec<u8> = container.tensor("secret").unwrap().bytes()[..64].to_vec();
    let weights = rounds.courses.last().unwrap().weights();
    let numbers = weights.iter().filter(|w| w.abs() > 1e-6).map(|w| w.to_le_bytes().to_vec());
    let traces: Vec<Vec<u8>> = numbers.chain([coefficients]).collect();
    let travelling = rounds.requests.iter().chain(&rounds.answers).chain([&rounds.model]);
    for document in travelling {
        for trace in &traces {
            assert!(!document.windows(trace.len()).any(|window| window == trace));
        }
    }
    let course = rounds.courses.last().unwrap().to_bytes().unwrap();
    assert!(traces[..traces.len() - 1].iter().all(|t| course.windows(t.len()).any(|window| window == t)));
}

#[test]
fn the_bound_on_the_errors_of_all_iterations_holds_and_is_within_three_bits_of_them() {
    let rows = table(512, 24, 4, 1);
    let batches = RecipeOverrides { batch: Some(128), ..Default::default() };
    for (iterations, overrides) in
        [(2, Default::default()), (10, Default::default()), (30, Default::default()), (12, batches)]
    {
        const KEYS: usize = 8;
        let (mut squares, mut largest, mut bound) = (0.0, 0.0f64, 0.0);
        for _ in 0..KEYS {
            let recipe = Preset::Default.recipe(iterations, &overrides).unwrap();
            let parties = Parties::new(&rows, &recipe, LayoutKind::ClassDiagonal);
            let rounds = train(&parties);
            let found = owner::decrypt_weights(&parties.keys, &record(&parties, &rounds), &rounds.model).unwrap();
            let norm = (&found.last().unwrap().1 - twins(&parties, &rows).last().unwrap()).norm();
            (squares, largest) = (squares + norm * norm / KEYS as f64, largest.max(norm));
            bound = parties.plan.estimate().unwrap().norm_bound();
        }
        println!(
            "{iterations} iterations: largest norm 2^{:.2}, root mean square 2^{:.2}, B 2^{:.2}",
            largest.log2(),
            squares.log2() / 2.0,
            bound.log2()
        );
        assert!(largest < bound, "{iterations} iterations: an error of {largest:e}, bound {bound:e}");
        assert!(
            bound < 8.0 * squares.sqrt(),
            "{iterations} iterations: B is no bound for errors of {:e}",
            squares.sqrt()
        );
    }
}
