//! Several owners, a key holder and a server: one training, of which each sees its own only.

mod common;

use std::io::Cursor;

use ciphertune_ckks::EntryKey;
use ciphertune_ckks::container::Container;
use ciphertune_head::job::owner::{self, Keys, OwnRows, ReleasedWeights};
use ciphertune_head::job::server::{ContributionReader, Trainer, enter};
use ciphertune_head::job::{CONTRIBUTION, JobId};
use ciphertune_head::layout::{Layout, LayoutKind, Shape};
use ciphertune_head::plan::{self, Constraints, Gives, Refresh};
use ciphertune_head::train::Returned;
use ciphertune_head::{
    Classes, DMatrix, FeatureTable, HeadError, Plan, Preconditioned, Recipe, Result, Scaler, ScalerKind, twin,
};
use common::{encrypt, plan_for, table, toy};

const CLASSES: usize = 3;

/// A table, its plan for several owners, and the key holder's keys.
struct Training {
    table: FeatureTable,
    scaler: Scaler,
    classes: Classes,
    plan: Plan,
    holder: Keys,
    evaluation_keys: Vec<u8>,
    job: JobId,
}

/// What an owner sends.
struct Sent {
    contribution: Vec<u8>,
    entry_key: Vec<u8>,
}

impl Training {
    fn new(table: FeatureTable, given: &[(Gives, usize)], constraints: Constraints) -> Self {
        let recipe = Recipe::default_for(2).unwrap();
        let shape = Shape { rows: table.rows(), features: table.columns(), classes: CLASSES };
        let plan = plan::choose(shape, &recipe, &Constraints { given: given.to_vec(), ..constraints }).unwrap();
        let plan = Plan::from_json(&plan.to_json()).unwrap();
        let holder = Keys::generate(&plan).unwrap();
        let mut evaluation_keys = Vec::new();
        holder.write_evaluation_keys(&mut evaluation_keys).unwrap();
        let scaler = Scaler::fit(ScalerKind::Whiten, None, table.features()).unwrap();
        let classes = Classes::from_labels(table.labels().unwrap()).unwrap();
        let job = JobId::random().unwrap();
        Self { table, scaler, classes, plan, holder, evaluation_keys, job }
    }

    /// Owners with rows one after the other.
    fn of_rows(rows: &[usize], constraints: Constraints) -> Self {
        let given: Vec<(Gives, usize)> = rows.iter().map(|rows| (Gives::Rows, *rows)).collect();
        Self::new(table(rows.iter().sum(), 9, CLASSES, 7), &given, constraints)
    }

    /// The rows of an owner, before places are left free.
    fn own(&self, index: usize) -> FeatureTable {
        let given = self.plan.contributions();
        let before: usize = given[..index].iter().filter(|c| c.gives.features()).map(|c| c.rows).sum();
        let before = if given[index].gives == Gives::Labels { 0 } else { before };
        self.table.select(&(before..before + given[index].rows).collect::<Vec<_>>())
    }

    fn send_as(&self, index: usize, own: &FeatureTable, keys: &Keys) -> Result<Sent> {
        let gives = self.plan.contributions()[index].gives;
        let rows = OwnRows {
            features: gives.features().then_some((own, &self.scaler)),
            labels: if gives.labels() { own.labels() } else { None },
            classes: &self.classes,
        };
        let mut out = Cursor::new(Vec::new());
        owner::contribute(keys, index, self.job, &rows, &mut out, &|_, _| Ok(()))?;
        let entry_key = keys.entry_key(self.holder.entry_mask()?)?.to_bytes(&self.plan.parameters()?)?;
        Ok(Sent { contribution: out.into_inner(), entry_key })
    }

    fn send(&self, index: usize) -> Sent {
        self.send_as(index, &self.own(index), &Keys::generate(&self.plan).unwrap()).unwrap()
    }

    fn send_all(&self) -> Vec<Sent> {
        (0..self.plan.contributions().len()).map(|index| self.send(index)).collect()
    }

    fn entered(&self, sent: &[Sent]) -> Result<Vec<u8>> {
        let parameters = self.plan.parameters()?;
        let open = |sent: &Sent| -> Result<_> {
            let key = EntryKey::from_bytes(&parameters, &sent.entry_key)?;
            Ok((ContributionReader::open(Cursor::new(sent.contribution.clone()))?.read()?, key))
        };
        let mut out = Cursor::new(Vec::new());
        enter(sent.iter().map(open).collect::<Result<_>>()?, &mut out, &|_, _| Ok(()))?;
        Ok(out.into_inner())
    }

    fn model(&self, sent: &[Sent]) -> Vec<u8> {
        let job = self.entered(sent).unwrap();
        let model = Trainer::new(&job, &self.evaluation_keys).unwrap().train(Returned::Last).unwrap();
        model.to_bytes().unwrap()
    }

    /// What training on all rows in the clear gives.
    fn expected(&self) -> DMatrix<f64> {
        let x = self.scaler.apply_with_ones(self.table.features()).unwrap();
        let problem = Preconditioned::new(self.plan.recipe(), &x).unwrap();
        let labels = self.classes.indices(self.table.labels().unwrap()).unwrap();
        assert!(problem.unscale.iter().all(|s| *s == 1.0));
        twin::train(self.plan.recipe(), &x, &labels, CLASSES).pop().unwrap().weights
    }

    fn error(&self, model: &[u8]) -> f64 {
        let (_, found) = owner::decrypt_weights_of(&self.holder, self.job, model).unwrap().pop().unwrap();
        (found - self.expected()).amax()
    }
}

#[test]
fn several_owners_train_what_one_with_all_rows_would() {
    // One block that all share, borders in the middle of blocks, and blocks of one's own.
    for (rows, memory) in
        [(vec![40, 33, 27], usize::MAX), (vec![150, 90, 201], usize::MAX), (vec![7, 1, 300], usize::MAX)]
    {
        let training = Training::of_rows(&rows, Constraints { memory, ..toy(LayoutKind::ClassDiagonal) });
        let model = training.model(&training.send_all());
        let (error, bound) = (training.error(&model), training.plan.estimate().unwrap().weight_bound());
        println!(
            "{rows:?}: {:?}, error 2^{:.1}, bound 2^{:.1}",
            training.plan.contributions(),
            error.log2(),
            bound.log2()
        );
        assert!(error < bound, "{rows:?}: {error} {bound}");
        assert!(error > bound / 1e4, "the bound says something: {error} {bound}");
    }
}

#[test]
fn dense_and_aligned_places_give_the_same_head() {
    let dense = Training::of_rows(&[150, 90, 201], toy(LayoutKind::ClassDiagonal));
    // Every geometry, with places left free and without.
    let mut kinds = [false; 2];
    for together in [1, 2, 4] {
        for rows in [vec![150, 90, 201], vec![441 - 2, 1, 1]] {
            let constraints = Constraints { classes_together: Some(together), ..toy(LayoutKind::ClassDiagonal) };
            let training = Training::of_rows(&rows, constraints);
            let last = training.plan.contributions().last().unwrap().places().end;
            kinds[usize::from(last > 441)] = true;
            let bound = training.plan.estimate().unwrap().weight_bound();
            assert!(training.error(&training.model(&training.send_all())) < bound);
            assert!((training.expected() - dense.expected()).amax() < 1e-12);
        }
    }
    assert_eq!(kinds, [true, true], "plans of both kinds were tried");
}

#[test]
fn features_and_labels_may_come_from_different_hands() {
    let given = [(Gives::Features, 130), (Gives::Labels, 130)];
    let training = Training::new(table(130, 9, CLASSES, 3), &given, toy(LayoutKind::ClassDiagonal));
    let sent = training.send_all();
    let [features, labels] = [&sent[0], &sent[1]].map(|sent| {
        let container = Container::parse(&sent.contribution, CONTRIBUTION, 1).unwrap();
        ["data.c0", "labels.c0"].map(|name| container.packed(name).is_ok())
    });
    assert_eq!((features, labels), ([true, false], [false, true]));
    let model = training.model(&sent);
    assert!(training.error(&model) < training.plan.estimate().unwrap().weight_bound());
}

#[test]
fn the_holder_shows_weights_with_noise_and_the_owner_makes_them_a_head() {
    let training = Training::of_rows(&[150, 90], toy(LayoutKind::ClassDiagonal));
    let model = training.model(&training.send_all());
    let opened = owner::open_weights(&training.holder, training.job, &model, 1).unwrap();
    let sigma = training.plan.estimate().unwrap().flooding_deviation(1);
    assert_eq!(opened.release().deviation, sigma);
    let noise = opened.weights() - training.expected();
    let found = (noise.norm_squared() / noise.len() as f64).sqrt();
    assert!((0.5..1.6).contains(&(found / sigma)), "{found} {sigma}");
    let read = ReleasedWeights::from_bytes(&training.plan, &opened.to_bytes().unwrap()).unwrap();
    assert_eq!(read, opened);
    let head = read.head(&training.plan, &training.scaler, training.classes.clone()).unwrap();
    assert!(head.published().is_some());
    let accuracy = head.evaluate(&training.table).unwrap().accuracy;
    println!("accuracy {accuracy}, {} bits", opened.release().precision_bits);
    let again = owner::open_weights(&training.holder, training.job, &model, 1).unwrap();
    assert_ne!(again.weights(), opened.weights(), "every opening draws its own noise: count them");
    let other = JobId::random().unwrap();
    assert!(matches!(owner::open_weights(&training.holder, other, &model, 1), Err(HeadError::Mismatch(_))));
}

#[test]
fn the_same_contributions_make_the_same_job_and_model_byte_for_byte() {
    let training = Training::of_rows(&[60, 50], toy(LayoutKind::ClassDiagonal));
    let mut sent = training.send_all();
    let (job, model) = (training.entered(&sent).unwrap(), training.model(&sent));
    sent.reverse();
    assert!(training.entered(&sent).unwrap() == job && training.model(&sent) == model, "in any order");
}

#[test]
fn what_does_not_belong_together_is_refused_by_name() {
    let training = Training::of_rows(&[60, 50, 40], toy(LayoutKind::ClassDiagonal));
    let other = Training::of_rows(&[60, 50, 40], toy(LayoutKind::ClassDiagonal));
    let sent = training.send_all();
    let refused = |sent: Vec<(&Sent, &Sent)>, said: &str| {
        let sent: Vec<Sent> = sent
            .into_iter()
            .map(|(a, b)| Sent { contribution: a.contribution.clone(), entry_key: b.entry_key.clone() })
            .collect();
        let error = training.entered(&sent).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    };
    let [a, b, c] = [&sent[0], &sent[1], &sent[2]];
    refused(vec![], "no contribution");
    refused(vec![(a, a), (b, b)], "contribution 2 is missing");
    refused(vec![(a, a), (b, b), (b, b)], "contribution 1 is there twice");
    refused(vec![(a, b), (b, a), (c, c)], "entry key of contribution 0 is of another");
    let strange = other.send(1);
    refused(vec![(a, a), (&strange, &strange), (c, c)], "contribution 1 is of another plan or job");
    // The mask of another holder.
    let own = training.own(1);
    let keys = Keys::generate(&training.plan).unwrap();
    let mut foreign = training.send_as(1, &own, &keys).unwrap();
    let key = keys.entry_key(other.holder.entry_mask().unwrap()).unwrap();
    foreign.entry_key = key.to_bytes(&training.plan.parameters().unwrap()).unwrap();
    refused(vec![(a, a), (&foreign, &foreign), (c, c)], "contribution 1 is of another");
    // Damaged in the middle.
    let mut damaged = Sent { contribution: b.contribution.clone(), entry_key: b.entry_key.clone() };
    let middle = damaged.contribution.len() / 2;
    damaged.contribution[middle] ^= 1;
    refused(vec![(a, a), (&damaged, &damaged), (c, c)], "damaged");
    // A contribution is no job.
    assert!(Trainer::new(&a.contribution, &training.evaluation_keys).is_err());
}

#[test]
fn an_owner_gives_what_the_plan_says_and_nothing_else() {
    let given = [(Gives::Rows, 60), (Gives::Features, 50), (Gives::Labels, 50)];
    let training = Training::new(table(110, 9, CLASSES, 3), &given, toy(LayoutKind::ClassDiagonal));
    let keys = Keys::generate(&training.plan).unwrap();
    let send = |index: usize, rows: OwnRows| {
        let mut out = Cursor::new(Vec::new());
        owner::contribute(&keys, index, training.job, &rows, &mut out, &|_, _| Ok(())).map(drop)
    };
    let (classes, own) = (&training.classes, training.own(0));
    let rows = OwnRows { features: Some((&own, &training.scaler)), labels: own.labels(), classes };
    assert!(send(0, rows).is_ok());
    for (index, rows) in [
        (1, rows),
        (2, rows),
        (0, OwnRows { labels: None, ..rows }),
        (0, OwnRows { features: None, ..rows }),
        (0, OwnRows { labels: own.labels().map(|labels| &labels[1..]), ..rows }),
        (3, rows),
    ] {
        assert!(matches!(send(index, rows), Err(HeadError::Contributions(_))), "{index}");
    }
    let two = Classes::from_names(vec!["0".into(), "1".into()]).unwrap();
    assert!(send(0, OwnRows { classes: &two, ..rows }).is_err());
}

#[test]
fn recipes_that_need_all_rows_are_refused_with_the_remedy() {
    let given = vec![(Gives::Rows, 60), (Gives::Rows, 50)];
    let shape = Shape { rows: 110, features: 9, classes: CLASSES };
    let refused = |recipe: Recipe, constraints: Constraints, said: &str| {
        let constraints = Constraints { given: given.clone(), ..constraints };
        let error = plan::choose(shape, &recipe, &constraints).unwrap_err();
        assert!(matches!(error, HeadError::Contributions(_)) && error.to_string().contains(said), "{error}");
    };
    let (default, toy) = (Recipe::default_for(2).unwrap(), toy(LayoutKind::ClassDiagonal));
    refused(Recipe::paper(2).unwrap(), toy.clone(), "--recipe default");
    refused(default.clone(), Constraints { refresh: Refresh::EveryIteration, ..toy.clone() }, "--refresh");
    refused(default.clone(), Constraints { layout: LayoutKind::VolleyRevolver, ..toy.clone() }, "--layout");
    let more = Constraints { given: vec![(Gives::Rows, 60), (Gives::Rows, 51)], ..toy };
    let error = plan::choose(shape, &default, &more).unwrap_err();
    assert!(error.to_string().contains("111 rows"), "{error}");
}

#[test]
fn plans_of_one_owner_are_as_they_were() {
    let plan = plan_for(&table(110, 9, CLASSES, 3), &Recipe::default_for(2).unwrap(), &toy(LayoutKind::ClassDiagonal));
    assert!(plan.contributions().is_empty() && !plan.to_json().contains("contributions"));
    assert!(plan.layout().weight_ciphertexts() > 0);
    let job = encrypt(&Keys::generate(&plan).unwrap(), &table(110, 9, CLASSES, 3), None).unwrap();
    assert!(job.record.is_within_plan());
    assert!(ContributionReader::open(Cursor::new(job.upload)).is_err());
}

#[test]
fn plans_that_put_owners_in_each_others_places_are_refused() {
    let training = Training::of_rows(&[60, 50], toy(LayoutKind::ClassDiagonal));
    let json = training.plan.to_json();
    let second = training.plan.contributions()[1].start;
    for (from, to) in [
        (format!(r#""start":{second}"#), r#""start":59"#.to_string()),
        (r#""rows":60"#.to_string(), r#""rows":61"#.to_string()),
        (r#""gives":"rows""#.to_string(), r#""gives":"labels""#.to_string()),
        (r#""format":4"#.to_string(), r#""format":2"#.to_string()),
    ] {
        assert!(json.contains(&from), "{json} has no {from}");
        assert!(Plan::from_json(&json.replacen(&from, &to, 1)).is_err(), "{from} {to}");
    }
}
