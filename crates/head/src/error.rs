//! What can go wrong with a head: tables, recipes, scalers, models.

use ciphertune_ckks::container::ContainerError;
use thiserror::Error;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, HeadError>;

/// An error of this crate. Messages about a file do not know its name: the caller puts it in front.
///
/// Lines, rows and columns count from 1.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HeadError {
    /// No reader for files with this extension.
    #[error(
        "a feature table is a .csv, .tsv, .txt, .npz or .safetensors file, not .{0}: convert it to one of these, or make features of images first (--images with --backbone, or ciphertune extract)"
    )]
    UnknownTableFormat(String),
    /// The file is not what its extension promises.
    #[error("the file is not a readable {format} file ({reason}): write it again")]
    UnreadableTable {
        /// The format that was expected.
        format: &'static str,
        /// What the reader stumbled over.
        reason: String,
    },
    /// A CSV line with another number of fields than the first.
    #[error(
        "line {line} has {found} fields, where {expected} are expected: give every line one label and the same number of features"
    )]
    RaggedLine {
        /// The line.
        line: u64,
        /// Its number of fields.
        found: usize,
        /// The first line's, or the one asked for.
        expected: usize,
    },
    /// A CSV field that should be a number.
    #[error(
        "line {line}, column {column}: {text:?} is not a number, as features are: if column {column} is the label, say so with --label {column}, or leave it out with --drop {column}"
    )]
    NotNumeric {
        /// The line.
        line: u64,
        /// The column, the label's included.
        column: usize,
        /// The field's text.
        text: String,
    },
    /// A comment in a CSV.
    #[error("line {line} begins with #, so it is a comment and no row: remove such lines")]
    CommentLine {
        /// The line.
        line: u64,
    },
    /// A NaN or an infinity.
    #[error("{place}: {value} is not a finite number: remove the row or fill the value in")]
    NotFinite {
        /// Where it stands.
        place: String,
        /// The value.
        value: String,
    },
    /// A label that is empty, or a number that is not whole.
    #[error(
        "line {line}, column {column}: {text:?} is no label, which are whole numbers or words: name the label's column with --label (a name in the first line, or a number{}), and leave out others with --drop; without it the first column is the label",
        word.map_or(String::new(), |word| format!(" such as {word}, which holds words"))
    )]
    InvalidLabel {
        /// The line.
        line: u64,
        /// The column that was taken for the label's.
        column: usize,
        /// The only column of features that holds a word.
        word: Option<usize>,
        /// The field's text.
        text: String,
    },
    /// A table without rows, or without features.
    #[error("the table has no {0}: give it at least one")]
    EmptyTable(&'static str),
    /// An array that should be there is not.
    #[error("the file has no array `{name}`, only {found}: save the arrays as `features` and `labels`, or as X and y")]
    MissingArray {
        /// The array's name.
        name: String,
        /// The names of those that are there.
        found: String,
    },
    /// Columns that a table does not have, or that cannot be taken so.
    #[error("{0}")]
    Columns(String),
    /// Features of other names, or in another order, than those of a head or training table.
    #[error("{0}")]
    OtherNames(String),
    /// A part of an archive that it does not have.
    #[error("the file has no part called {split}, only {found}: leave --split out")]
    NoPart {
        /// The part.
        split: ciphertune_formats::splits::Split,
        /// What is there.
        found: String,
    },
    /// An array of another type or shape.
    #[error("the array `{name}` is {found}: {expected}")]
    WrongArray {
        /// The array's name.
        name: String,
        /// Its type or shape.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// As many labels as rows are needed.
    #[error("the table has {rows} rows of features but {labels} labels: save one label a row")]
    LabelCount {
        /// Rows of features.
        rows: usize,
        /// Labels.
        labels: usize,
    },
    /// Labels are needed and there are none.
    #[error("the table has no labels: add a label to every row")]
    NoLabels,
    /// Training needs two classes.
    #[error("every row has the label {0:?}: training needs at least two classes")]
    OneClass(String),
    /// More classes than a head has room for.
    #[error(
        "the labels name {found} classes, at most {limit} can be trained: merge classes; if these are measurements or row numbers, name the label's column with --label"
    )]
    TooManyClasses {
        /// Distinct labels.
        found: usize,
        /// [`crate::classes::MAX_CLASSES`].
        limit: usize,
    },
    /// Two classes of one name.
    #[error("the class {0:?} is named twice: name every class once")]
    RepeatedClass(String),
    /// A label that the classes do not know.
    #[error(
        "row {row} has the label {label:?}, which training never saw (it knows {known}): remove the row, or train with it"
    )]
    UnknownLabel {
        /// The row.
        row: usize,
        /// Its label.
        label: String,
        /// The classes that are known.
        known: String,
    },
    /// A holdout that leaves no row on one side.
    #[error(
        "a holdout of {fraction} of {rows} rows leaves none on one side: choose a fraction between 0 and 1, and at least two rows in some class"
    )]
    EmptyHoldout {
        /// The fraction held out.
        fraction: f64,
        /// Rows in the table.
        rows: usize,
    },
    /// Features of another number than the scaler or head was made for.
    #[error(
        "the table has {found} features a row, the {what} was made for {expected}: use features of the same backbone"
    )]
    FeatureCount {
        /// Features in the table.
        found: usize,
        /// Features expected.
        expected: usize,
        /// What expects them: `scaler`, `head`.
        what: &'static str,
    },
    /// Features of another backbone than the head or training table they are used with.
    #[error(
        "the features are those of {found}, the {what} is of {expected}: use the same backbone with the same weights"
    )]
    OtherBackbone {
        /// The features' backbone.
        found: String,
        /// The one expected.
        expected: String,
        /// What expects it: `head`, `training table`.
        what: &'static str,
    },
    /// Features of images that were preprocessed in another way.
    #[error(
        "the images were preprocessed otherwise than those of the {what}: use its settings, {expected}, instead of {found}"
    )]
    OtherPreprocess {
        /// The features' preprocessing.
        found: String,
        /// The one expected.
        expected: String,
        /// What expects it: `head`, `training table`.
        what: &'static str,
    },
    /// A hyperparameter out of its range.
    #[error("{0}")]
    InvalidRecipe(String),
    /// Whitening failed.
    #[error(
        "the features' covariance cannot be whitened with lambda {lambda}: choose a larger --lambda, or --scaler standardize"
    )]
    NotWhitenable {
        /// The regularisation in use.
        lambda: f64,
    },
    /// A feature too large to be encrypted at the planned precision.
    #[error(
        "after scaling, row {row} has a feature of size {size:.1}, at most {limit} can be trained on: choose --scaler standardize or whiten, or remove the row"
    )]
    FeatureTooLarge {
        /// The row.
        row: usize,
        /// The feature's absolute value.
        size: f64,
        /// [`crate::precondition::MAX_FEATURE`].
        limit: f64,
    },
    /// An artefact whose content contradicts itself.
    #[error("the file's content is inconsistent ({0}): write it again")]
    InvalidArtefact(String),
    /// Contributions of several owners that do not make a training.
    #[error("{0}")]
    Contributions(String),
    /// No parameters serve the training that was asked for.
    #[error("{0}")]
    NoPlan(String),
    /// The training needs more memory than there is.
    #[error(
        "the training needs at least {} MiB of memory, and it may take {} MiB: give it more with --memory if the machine has it, or use fewer iterations or a machine with more",
        needed.div_ceil(1 << 20), available >> 20
    )]
    Memory {
        /// Predicted bytes, with as little kept as possible.
        needed: usize,
        /// Bytes that it may take.
        available: usize,
    },
    /// A model whose weights left the range that the plan has room for.
    #[error(
        "the decrypted values reach {found:.1}, at most {limit:.1} can be told from a wrap-around: the training diverged; use --ridge 0.1, fewer iterations, a smaller --learning-rate, or --scaler whiten"
    )]
    Diverged {
        /// The largest magnitude found.
        found: f64,
        /// The largest that is trusted.
        limit: f64,
    },
    /// A refreshed training whose values left the range that the plan has room for.
    #[error(
        "the values of iteration {iteration} were out of range: the training diverged there, and what it did afterwards is of no use; use --ridge 0.1, fewer iterations, a smaller --learning-rate, or --scaler whiten"
    )]
    DivergedAt {
        /// The first iteration out of range.
        iteration: usize,
    },
    /// A learning curve that left the range of numbers.
    #[error(
        "the scores of {method} are no finite numbers after iteration {iteration}: the features are too large; divide them by a constant"
    )]
    CurveDiverged {
        /// The method's name.
        method: String,
        /// The iteration, from 1.
        iteration: usize,
    },
    /// A job whose numbers are larger than its plan's prediction of errors allows for.
    #[error(
        "the features of this job are {magnitude:.1} times as large as its plan's bound on errors allows for, so no noise can be promised to hide them: encrypt again with --scaler whiten or standardize and Quadratic Gradient, or keep the model to yourself"
    )]
    Unbounded {
        /// The larger of the features' root mean square and the square root of their second moment's largest
        /// eigenvalue, times the rate's excess.
        magnitude: f64,
    },
    /// A model that noise for publication would bury.
    #[error(
        "published, this model would keep {bits:.1} bits of precision, and at least {least} are needed for it to be of use: make keys with a plan for fewer iterations or with a larger --publish-bits, ask for fewer --releases, or keep the model to yourself"
    )]
    NothingLeft {
        /// Bits that would be left.
        bits: f64,
        /// The least that is released.
        least: f64,
    },
    /// A head that says hardly more than the most frequent class.
    #[error(
        "of {rows} rows to check it on, the head has {right} right; always saying '{most_frequent}' would have {most_frequent_rows} right, and a head that may be shown has clearly more (once in a thousand times by chance): it was trained for too few iterations, has too little precision left above its noise, or the server returned something else than the model; have it trained again, check it on more rows of your own (--check TABLE), or keep it to yourself. Do not tell the server"
    )]
    NotBetter {
        /// Rows whose class the head said.
        right: usize,
        /// All rows.
        rows: usize,
        /// The class that most rows are of.
        most_frequent: String,
        /// The rows of that class.
        most_frequent_rows: usize,
    },
    /// Artefacts that do not belong together.
    #[error("{0}")]
    Mismatch(String),
    /// An error of the encryption scheme.
    #[error(transparent)]
    Ckks(#[from] ciphertune_ckks::Error),
    /// An artefact that cannot be read or written.
    #[error(transparent)]
    Container(#[from] ContainerError),
}
