//! What `plan` prints.

use ciphertune_ckks::security_bound;
use ciphertune_head::Plan;
use ciphertune_head::layout::{AnyLayout, TopAxis};
use ciphertune_head::plan::Exchange;
use ciphertune_head::plan::cost::UnitCosts;
use ciphertune_head::plan::estimate::STATISTICAL_BITS;
use serde::Serialize;
use serde_json::Value;

use crate::commands::publication;
use crate::errors::Result;
use crate::text::{Table, bytes, count, seconds, thousands};

/// A plan and what it will take; the fields are those of `--json`.
#[derive(Serialize)]
pub struct Report {
    rows: usize,
    features: usize,
    classes: usize,
    log_n: u32,
    log_qp: f64,
    log_qp_bound: Option<u32>,
    security_bits: u32,
    levels: usize,
    levels_left: usize,
    scale_bits: u32,
    special_primes: usize,
    keys: usize,
    key_bytes: usize,
    upload_ciphertexts: Upload,
    upload_bytes: usize,
    /// What the choice counts an upload at.
    upload_bytes_per_second: f64,
    /// Of a training that keeps all its data.
    memory_bytes: usize,
    /// Of one that keeps as little as possible.
    memory_bytes_least: usize,
    /// What goes to and fro during training, if the owner makes the steps.
    refreshes: Option<Refreshes>,
    /// What a training does with the memory that it may take.
    allotment: Allotted,
    key_switches: u64,
    products: u64,
    /// Of training, reading again included.
    seconds: f64,
    /// -log2 of the predicted standard deviation of a weight's error.
    precision_bits: f64,
    /// -log2 of the bound on any weight's error.
    precision_bits_guaranteed: f64,
    /// Bits that the noise of a publication takes.
    publication_bits: f64,
    /// -log2 of the standard deviation of a weight in a published model.
    published_precision_bits: f64,
    /// Bits of a logit that a published model is expected to keep.
    published_logit_bits: f64,
    /// The plan as keygen would write it.
    plan: Value,
    /// What other numbers of classes in a ciphertext of weights would take.
    alternatives: Vec<Alternative>,
}

/// What is done with the memory that there is.
#[derive(Serialize)]
struct Allotted {
    memory_bytes: usize,
    kept_upload_bytes: usize,
    limbs_read_again: u64,
    seconds_reading_again: f64,
}

/// Rounds between server and owner.
#[derive(Serialize)]
struct Refreshes {
    count: usize,
    request_bytes: usize,
    answer_bytes: usize,
}

impl From<Exchange> for Refreshes {
    fn from(exchange: Exchange) -> Self {
        let Exchange { count, request_bytes, answer_bytes } = exchange;
        Self { count, request_bytes, answer_bytes }
    }
}

/// A plan that was not chosen.
#[derive(Serialize)]
struct Alternative {
    classes_together: usize,
    log_n: u32,
    seconds: f64,
    memory_bytes: usize,
    upload_bytes: usize,
    key_bytes: usize,
    key_switches: u64,
    products: u64,
}

impl Alternative {
    fn new(classes_together: usize, plan: &Plan, memory: usize, costs: &UnitCosts) -> Result<Self> {
        let (estimate, allotment) = (plan.estimate()?, plan.allot(memory)?);
        Ok(Self {
            classes_together,
            log_n: plan.literal().log_n,
            seconds: estimate.seconds(plan, costs) + costs.seconds(plan.literal().log_n, allotment.work()),
            memory_bytes: allotment.server_bytes,
            upload_bytes: estimate.upload_bytes,
            key_bytes: estimate.key_bytes,
            key_switches: estimate.operations.key_switches,
            products: estimate.operations.products,
        })
    }

    fn text(&self) -> String {
        format!(
            "{} together: about {}, {} of memory,\nN = 2^{}, {}, {}, {} up",
            count(self.classes_together, "class"),
            seconds(self.seconds),
            bytes(self.memory_bytes),
            self.log_n,
            count(self.key_switches as usize, "key switch"),
            count(self.products as usize, "product"),
            bytes(self.upload_bytes),
        )
    }
}

/// Ciphertexts of the upload.
#[derive(Serialize)]
struct Upload {
    data: usize,
    labels: usize,
    offset: usize,
}

impl Report {
    /// Puts the figures together.
    pub fn new(
        plan: &Plan,
        memory: usize,
        upload_rate: f64,
        alternatives: &[(usize, Plan)],
        costs: &UnitCosts,
    ) -> Result<Self> {
        let (shape, literal, estimate) = (plan.shape(), plan.literal(), plan.estimate()?);
        let [data, labels, offset] = estimate.upload_ciphertexts;
        let precision_bits = -estimate.weight_deviation.log2();
        let allotment = plan.allot(memory)?;
        let limb_bytes = 2 * (8 << literal.log_n);
        let whole: usize = plan.inputs().iter().map(|input| (input.level + 1) * limb_bytes).sum();
        let reading = costs.seconds(literal.log_n, allotment.work());
        let published_precision_bits = estimate.release_bits();
        Ok(Self {
            rows: shape.rows,
            features: shape.features,
            classes: shape.classes,
            log_n: literal.log_n,
            log_qp: literal.log_qp(),
            log_qp_bound: security_bound(literal.log_n),
            security_bits: plan.security_bits(),
            levels: plan.top_level(),
            levels_left: plan.levels_left(),
            scale_bits: plan.scale_bits(),
            special_primes: literal.p.len(),
            keys: estimate.operations.keys.count(),
            key_bytes: estimate.key_bytes,
            upload_ciphertexts: Upload { data, labels, offset },
            upload_bytes: estimate.upload_bytes,
            upload_bytes_per_second: upload_rate,
            memory_bytes: estimate.server_bytes,
            memory_bytes_least: plan.least_bytes()?,
            refreshes: plan.exchange().map(Refreshes::from),
            allotment: Allotted {
                memory_bytes: allotment.server_bytes,
                kept_upload_bytes: allotment.room.kept.min(whole),
                limbs_read_again: allotment.limbs_read,
                seconds_reading_again: reading,
            },
            key_switches: estimate.operations.key_switches,
            products: estimate.operations.products,
            seconds: estimate.seconds(plan, costs) + reading,
            precision_bits,
            precision_bits_guaranteed: -estimate.weight_bound().log2(),
            publication_bits: precision_bits - published_precision_bits,
            published_precision_bits,
            published_logit_bits: estimate.logit_bits(plan),
            plan: serde_json::from_str(&plan.to_json()).map_err(std::io::Error::from)?,
            alternatives: alternatives
                .iter()
                .map(|(number, plan)| Alternative::new(*number, plan, memory, costs))
                .collect::<Result<_>>()?,
        })
    }

    /// The table for people.
    pub fn text(&self, plan: &Plan) -> String {
        let mut table = Table::default();
        table.row("recipe", recipe(plan));
        table.row("layout", layout(plan));
        let bound = self.log_qp_bound.map_or("none".to_owned(), |bound| bound.to_string());
        table.row("ring", format!("N = 2^{}, {} slots", self.log_n, thousands(1 << (self.log_n - 1))));
        let security =
            format!("log QP = {:.1} of at most {bound} bits: {} bits of security", self.log_qp, self.security_bits);
        table.row("security", security);
        let special = count(self.special_primes, "special prime");
        table.row("levels", format!("{}, {} left after training; {special}", self.levels, self.levels_left));
        table.row("scale", count(self.scale_bits as usize, "bit"));
        table.row("evaluation keys", format!("{}, {}", self.keys, bytes(self.key_bytes)));
        let Upload { data, labels, offset } = self.upload_ciphertexts;
        let offset = if offset > 0 { format!(" + {offset} of offset") } else { String::new() };
        let total = bytes(self.upload_bytes);
        table.row("upload", format!("{total}: {} of data + {labels} of labels{offset}", count(data, "ciphertext")));
        let (up, rate) =
            (self.upload_bytes as f64 / self.upload_bytes_per_second, self.upload_bytes_per_second as usize);
        table.row("", format!("counted as {} at {} a second (--upload-rate)", seconds(up), bytes(rate)));
        if let Some(Refreshes { count: rounds, request_bytes, answer_bytes }) = self.refreshes {
            let travel = (rounds * (request_bytes + answer_bytes)) as f64 / self.upload_bytes_per_second;
            table.row(
                "refreshes",
                format!(
                    "{rounds}: the owner makes the steps; {} down and {} up each,\ncounted as {} in all",
                    bytes(request_bytes),
                    bytes(answer_bytes),
                    seconds(travel)
                ),
            );
        }
        let (most, least) = (bytes(self.memory_bytes), bytes(self.memory_bytes_least));
        table.row(
            "memory",
            if most == least {
                format!("{most} on the server")
            } else {
                format!("{most} on the server to keep all data, {least} at least")
            },
        );
        if self.allotment.limbs_read_again > 0 {
            let Allotted { memory_bytes, seconds_reading_again, .. } = self.allotment;
            let (within, reading) = (bytes(memory_bytes), seconds(seconds_reading_again));
            table.row(
                "",
                format!("within {within}, what is not kept is read again:\nabout {reading} of the time below"),
            );
        }
        let switches = count(self.key_switches as usize, "key switch");
        table.row("operations", format!("{switches}, {} of ciphertexts", count(self.products as usize, "product")));
        let threads = count(rayon::current_num_threads(), "thread");
        table.row("time", format!("about {} of training on this machine, {threads}", seconds(self.seconds)));
        let guaranteed = self.precision_bits_guaranteed;
        table.row("precision", format!("{:.1} bits predicted, {guaranteed:.1} at least", self.precision_bits));
        let published = match self.published_precision_bits {
            bits if bits < 1.0 => "too little is left to publish a model: use fewer iterations".to_owned(),
            bits => format!(
                "{bits:.1} bits if published once: {:.1} are reserved for the noise\nthat makes it safe (2^-{STATISTICAL_BITS})",
                self.publication_bits
            ),
        };
        table.row("", published);
        table.row("", publication::expected(self.published_logit_bits));
        for (index, alternative) in self.alternatives.iter().enumerate() {
            table.row(if index == 0 { "alternatives" } else { "" }, alternative.text());
        }
        if !self.alternatives.is_empty() {
            table.row("", "(classes in one ciphertext of weights; the choice counts\nthe upload too)".to_owned());
        }
        let shape = format!("{} x {}", count(self.rows, "row"), count(self.features, "feature"));
        format!("{shape}, {}\n\n{}", count(self.classes, "class"), table.render())
    }
}

fn recipe(plan: &Plan) -> String {
    let recipe = plan.recipe();
    format!("{}: {}, scaler {}", recipe.name(), count(recipe.iterations(), "iteration"), recipe.scaler())
}

/// The layout, and why it was chosen.
fn layout(plan: &Plan) -> String {
    let slots = thousands(1 << (plan.literal().log_n - 1));
    match plan.layout() {
        AnyLayout::VolleyRevolver(_) => {
            "volley-revolver, the paper's encoding, row by row: as asked for;\nclass-diagonal is the fast one"
                .to_owned()
        }
        AnyLayout::ClassDiagonal(layout) => {
            let (width, height, block) = (layout.width(), layout.height(), 2 * layout.block());
            let why = match layout.top() {
                TopAxis::Classes => {
                    "classes on top: the rows are few, so one\nciphertext holds the weights of several classes"
                }
                TopAxis::Rows => "rows on top: the rows are many, so every\nclass has its own ciphertext of weights",
                TopAxis::Mixed => {
                    "rows and classes on top: ciphertexts of\nweights hold several classes, those of data several\ngroups of rows"
                }
            };
            let blocks = count(block * layout.groups(), "row");
            format!("class-diagonal, {why}\n{slots} slots = {height} x {width} (features, padded); blocks of {blocks}")
        }
    }
}
