//! Flags that several commands share: the recipe, the plan, the shape.

mod stopping;

use std::path::PathBuf;

use ciphertune_head::layout::{AnyLayout, LayoutKind, Shape};
use ciphertune_head::plan::search::UPLOAD_BYTES_PER_SECOND;
use ciphertune_head::plan::{self, Constraints, Refresh};
use ciphertune_head::recipe::{Bound, Gradient, Preset, RecipeOverrides, Sigmoid};
use ciphertune_head::{Plan, Recipe, ScalerKind};
use clap::{Args, ValueEnum};

use crate::errors::{CliError, Result};
use crate::inputs::{BackboneFlags, ColumnFlags};
use crate::sizes;
use crate::text::warn;
use ciphertune_session::InFile;
use ciphertune_session::Observer;
use ciphertune_session::examples::{Place, Reader};
use ciphertune_session::memory;
use ciphertune_session::observer::{Running, Step};
use ciphertune_session::owner;
pub use stopping::StoppingFlags;

/// How to train.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Recipe")]
pub struct RecipeFlags {
    /// Set of hyperparameters to start from
    #[arg(long, value_enum, default_value_t)]
    pub recipe: RecipeName,

    /// Iterations of gradient descent; each takes four levels of the ciphertexts, or more with --sigmoid 7 or 15
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub iterations: usize,

    /// Map of the features before encryption, folded back into the head [default: the recipe's]
    #[arg(long, value_enum, value_name = "KIND")]
    pub scaler: Option<ScalerName>,

    /// Regularisation of whitening, in units of the mean eigenvalue [default: d/2n, between 0.05 and 1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub lambda: Option<f64>,

    /// Gradient that is followed [default: quadratic]
    #[arg(long, value_enum)]
    pub gradient: Option<GradientName>,

    /// What Quadratic Gradient divides by [default: quarter for whitened features, else row-sums]
    #[arg(long, value_enum)]
    pub bound: Option<BoundName>,

    /// Polynomial in place of the sigmoid: 7 or 15, fits of that degree for logits up to 10 and 16, which take one and
    /// two levels more an iteration; or a cubic: paper, narrow, wide, or three numbers C1,C3,RANGE for 1/2 + C1 z +
    /// C3 z^3 on |z| < RANGE [default: narrow, from 4 iterations on wide]
    #[arg(long, value_name = "POLYNOMIAL", alias = "cubic")]
    pub sigmoid: Option<Sigmoid>,

    /// Where Nesterov's sequence a_t starts: 0.01 in the paper, 1 in recipe default
    #[arg(long, value_name = "A0", allow_negative_numbers = true)]
    pub momentum: Option<f64>,

    /// Every weight before the first iteration; other than 0, it takes one more uploaded ciphertext group
    #[arg(long, value_name = "W0", allow_negative_numbers = true)]
    pub initial_weight: Option<f64>,

    /// Factor on every step [default: 1; in recipe default, for 4 and more iterations of whitened features, 1.5, 1.25
    /// with --sigmoid 7, 1 with 15, 0.7 with --batch]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub learning_rate: Option<f64>,

    /// Power of 1/t that step t is multiplied by, with --batch of the epoch [default: 0; in recipe default, for 4 and
    /// more iterations, 1 with --batch, and of features that are not whitened 0.5, for more than 8 iterations 1]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub decay: Option<f64>,

    /// Pull of the weights towards zero, which keeps long trainings from diverging [default: 0; in recipe default, for 4
    /// and more iterations of whitened features, 0.1, 0.05 with --batch, 0.02 with --sigmoid 7, 0.005 with 15]
    #[arg(long, value_name = "MU", allow_negative_numbers = true)]
    pub ridge: Option<f64>,

    /// Minibatches: the most rows that a gradient is taken of, an iteration after the other; rows are mixed, and cut into
    /// batches of one size [default: every gradient of all rows]
    #[arg(long, value_name = "ROWS")]
    pub batch: Option<usize>,
}

impl RecipeFlags {
    /// The recipe that the flags describe.
    pub fn recipe(&self) -> Result<Recipe> {
        let overrides = RecipeOverrides {
            gradient: self.gradient.map(|name| match name {
                GradientName::Quadratic => Gradient::Quadratic,
                GradientName::Plain => Gradient::Plain,
            }),
            bound: self.bound.map(|name| match name {
                BoundName::RowSums => Bound::RowSums,
                BoundName::Quarter => Bound::Quarter,
            }),
            scaler: self.scaler.map(ScalerName::kind),
            lambda: self.lambda,
            sigmoid: self.sigmoid,
            momentum: self.momentum,
            initial_weight: self.initial_weight,
            learning_rate: self.learning_rate,
            decay: self.decay,
            ridge: self.ridge,
            batch: self.batch,
        };
        let preset = match self.recipe {
            RecipeName::Paper => Preset::Paper,
            RecipeName::Default => Preset::Default,
        };
        let recipe = preset.recipe(self.iterations, &overrides)?;
        if let Some(warning) = owner::divergence(&recipe) {
            warn(&warning);
        }
        Ok(recipe)
    }
}

/// The recipes by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum RecipeName {
    /// Ours: whitened features, so that two iterations are enough
    #[default]
    Default,
    /// Chiang's, arXiv 2304.03807, with its published constants
    Paper,
}

/// The scalers by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScalerName {
    /// Features as they are
    None,
    /// Mean zero
    Center,
    /// Mean zero, variance one
    Standardize,
    /// Mean zero, covariance close to the identity
    Whiten,
}

impl ScalerName {
    /// The library's name for it.
    pub fn kind(self) -> ScalerKind {
        match self {
            ScalerName::None => ScalerKind::None,
            ScalerName::Center => ScalerKind::Center,
            ScalerName::Standardize => ScalerKind::Standardize,
            ScalerName::Whiten => ScalerKind::Whiten,
        }
    }
}

/// The gradients by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GradientName {
    /// Quadratic Gradient: divided by a bound on the Hessian
    Quadratic,
    /// The gradient itself, to see what the other brings
    Plain,
}

/// The bounds by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BoundName {
    /// The paper's, one value a feature
    RowSums,
    /// n/4 for every feature: exact enough for whitened ones
    Quarter,
}

/// The layouts by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LayoutName {
    /// Generalised diagonals of the data: the fast one
    #[default]
    ClassDiagonal,
    /// The paper's encoding, row by row: for comparison
    VolleyRevolver,
}

/// Refreshes by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum RefreshName {
    /// The server makes all steps: nobody else is needed
    #[default]
    Never,
    /// The owner makes them, and encrypts the weights afresh after every iteration
    #[value(name = "1")]
    Every,
    /// Whichever takes less time, the connection included
    Auto,
}

/// What a plan must respect.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Plan")]
pub struct PlanFlags {
    /// How the table lies in ciphertexts
    #[arg(long, value_enum, default_value_t)]
    pub layout: LayoutName,

    /// Most memory that training may take, such as 8G; data for which it does not suffice are read again and again
    /// [default: what this machine has available]
    #[arg(long, value_name = "BYTES", value_parser = sizes::parse_size)]
    pub memory: Option<usize>,

    /// Ring dimension 2^LOG_N, from 13 to 16 [default: the one that trains fastest]
    #[arg(long, value_name = "LOG_N", value_parser = clap::value_parser!(u32).range(13..=16))]
    pub log_n: Option<u32>,

    /// Bits of precision that a published model should keep, as far as the modulus has room; -30 if you never publish,
    /// for speed [default: two bits of a logit, log2 sqrt(features + 1) + 2]
    #[arg(long, value_name = "BITS", allow_negative_numbers = true, value_parser = parse_bits)]
    pub publish_bits: Option<f64>,

    /// Who makes the steps: never, the server all of them on ciphertexts; 1, the owner after every iteration, who sends
    /// the weights encrypted afresh, so that any number of iterations fits the smallest ring, but who has to be there
    /// during training; auto, what takes less time
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    pub refresh: RefreshName,

    /// Bytes a second of the connection to the server, such as 100M: a plan for a fast one may upload more to train in
    /// less time [default: 25000000]
    #[arg(long, value_name = "BYTES", value_parser = sizes::parse_size)]
    pub upload_rate: Option<usize>,
}

fn parse_bits(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(bits) if (-100.0..=40.0).contains(&bits) => Ok(bits),
        _ => Err("give a number of bits from -100 to 40".to_owned()),
    }
}

impl PlanFlags {
    /// The fastest plan that respects the flags.
    pub fn choose(&self, shape: Shape, recipe: &Recipe, observer: &dyn Observer) -> ciphertune_session::Result<Plan> {
        // Of the paper's layout, it can take long.
        let _running = Running::new(observer, Step::Planning, None);
        Ok(match self.refresh {
            RefreshName::Never => plan::choose(shape, recipe, &self.constraints(Refresh::Never))?,
            RefreshName::Every => plan::choose(shape, recipe, &self.constraints(Refresh::EveryIteration))?,
            RefreshName::Auto => plan::choose_refresh(shape, recipe, &self.constraints(Refresh::Never))?,
        })
    }

    /// What the fastest plan of layout `class-diagonal` would be with other numbers of classes in a ciphertext of
    /// weights than `chosen` has; those that no ring or memory has room for are left out.
    pub fn alternatives(&self, chosen: &Plan, observer: &dyn Observer) -> Vec<(usize, Plan)> {
        let AnyLayout::ClassDiagonal(layout) = chosen.layout() else { return Vec::new() };
        let _running = Running::new(observer, Step::Planning, None);
        let most = chosen.shape().classes.next_power_of_two();
        let numbers = std::iter::successors(Some(1), |number| Some(2 * number)).take_while(|&number| number <= most);
        numbers
            .filter(|&number| number != layout.classes_together())
            .filter_map(|number| {
                let constraints = Constraints { classes_together: Some(number), ..self.constraints(chosen.refresh()) };
                Some((number, plan::choose(chosen.shape(), chosen.recipe(), &constraints).ok()?))
            })
            .collect()
    }

    /// Most memory that training may take.
    pub fn memory(&self) -> usize {
        memory::limit(self.memory)
    }

    /// Bytes a second of the connection to the server.
    pub fn upload_rate(&self) -> f64 {
        self.upload_rate.map_or(UPLOAD_BYTES_PER_SECOND, |rate| rate as f64)
    }

    fn constraints(&self, refresh: Refresh) -> Constraints {
        let layout = match self.layout {
            LayoutName::ClassDiagonal => LayoutKind::ClassDiagonal,
            LayoutName::VolleyRevolver => LayoutKind::VolleyRevolver,
        };
        Constraints {
            layout,
            memory: self.memory(),
            log_n: self.log_n,
            release_bits: self.publish_bits,
            upload_rate: self.upload_rate(),
            refresh,
            ..Constraints::default()
        }
    }
}

/// The shape of a training table, from the table or in numbers.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Table")]
pub struct ShapeFlags {
    /// Training table: .csv (label first), .npz or .safetensors (features, labels); only its shape is used
    #[arg(long, value_name = "FILE", conflicts_with = "images")]
    train: Option<PathBuf>,

    /// Training images, instead of a table; only their number and labels are used
    #[arg(long, value_name = "DIR|FILE")]
    images: Option<PathBuf>,

    /// Labels that belong to idx images
    #[arg(long, value_name = "FILE", requires = "images")]
    labels: Option<PathBuf>,

    /// Training rows; of a table or of images, only the first so many
    #[arg(long, value_name = "N")]
    rows: Option<usize>,

    /// Features a row
    #[arg(long, value_name = "N", conflicts_with_all = ["train", "images"])]
    features: Option<usize>,

    /// Classes
    #[arg(long, value_name = "N", conflicts_with_all = ["train", "images"])]
    classes: Option<usize>,

    #[command(flatten)]
    columns: ColumnFlags,
}

impl ShapeFlags {
    /// Where the training table or images are, if they are given.
    pub fn place(&self) -> Place<'_> {
        Place {
            table: self.train.as_deref(),
            images: self.images.as_deref(),
            labels: self.labels.as_deref(),
            rows: self.rows,
            split: None,
            label: self.columns.label.as_deref(),
            drop: &self.columns.drop,
            known: None,
        }
    }

    /// The numbers of features and classes that were given as numbers.
    pub fn features_and_classes(&self) -> (Option<usize>, Option<usize>) {
        (self.features, self.classes)
    }

    /// The fastest plan for the shape.
    pub fn plan(
        &self,
        backbone: &BackboneFlags,
        recipe: &Recipe,
        flags: &PlanFlags,
        observer: &dyn Observer,
    ) -> Result<Plan> {
        let plan = flags.choose(self.shape(backbone, observer)?, recipe, observer);
        match self.train.as_ref().or(self.images.as_ref()) {
            Some(path) => Ok(plan.in_file(path)?),
            None => Ok(plan?),
        }
    }

    /// The shape.
    fn shape(&self, backbone: &BackboneFlags, observer: &dyn Observer) -> Result<Shape> {
        let place = self.place();
        let reader = Reader::new(backbone.choice(), None, &[place], observer)?;
        if place.table.or(place.images).is_some() {
            return Ok(reader.shape(&place)?);
        }
        match (self.rows, self.features, self.classes) {
            (Some(rows), Some(features), Some(classes)) => {
                let within = |name: &str, number: usize, least: usize, most: usize| match number {
                    n if (least..=most).contains(&n) => Ok(()),
                    n => Err(CliError::input(format!("--{name} {n} is not possible: give {least} to {most}"))),
                };
                within("rows", rows, 1, 1 << 30)?;
                within("features", features, 1, 1 << 20)?;
                within("classes", classes, 2, ciphertune_head::classes::MAX_CLASSES)?;
                Ok(Shape { rows, features, classes })
            }
            _ => Err(CliError::input(
                "the shape is missing: give --train, or --images with --backbone, or --rows, --features and --classes",
            )),
        }
    }
}
