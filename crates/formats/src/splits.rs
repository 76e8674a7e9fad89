//! Archives that hold rows to train on and rows to test on side by side, told by the names of their arrays.

/// The parts that such archives have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// Rows to train on.
    Train,
    /// Rows to choose settings with.
    Validation,
    /// Rows to test on.
    Test,
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        })
    }
}

/// The names of a part's arrays: its rows, and its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// Images or features.
    pub rows: &'static str,
    /// Labels.
    pub labels: &'static str,
}

/// The ways to name them: MedMNIST's, Keras'.
const STYLES: [[Names; 3]; 2] = [
    [
        Names { rows: "train_images", labels: "train_labels" },
        Names { rows: "val_images", labels: "val_labels" },
        Names { rows: "test_images", labels: "test_labels" },
    ],
    [
        Names { rows: "x_train", labels: "y_train" },
        Names { rows: "x_val", labels: "y_val" },
        Names { rows: "x_test", labels: "y_test" },
    ],
];

/// The names of a part's arrays in an archive with arrays of these names; `None` if it has no such part. An archive
/// without rows to train on is no archive with parts.
pub fn names(arrays: &[String], split: Split) -> Option<Names> {
    let has = |name: &str| arrays.iter().any(|array| array == name);
    let style = STYLES.iter().find(|style| has(style[Split::Train as usize].rows))?;
    Some(style[split as usize]).filter(|names| has(names.rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_the_names_that_two_libraries_give_them() {
        let arrays = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let keras = arrays(&["x_test", "x_train", "y_test", "y_train"]);
        assert_eq!(names(&keras, Split::Train), Some(Names { rows: "x_train", labels: "y_train" }));
        assert_eq!(names(&keras, Split::Test), Some(Names { rows: "x_test", labels: "y_test" }));
        assert_eq!(names(&keras, Split::Validation), None);
        let medical = arrays(&["train_images", "train_labels", "val_images", "val_labels"]);
        assert_eq!(names(&medical, Split::Validation), Some(Names { rows: "val_images", labels: "val_labels" }));
        assert_eq!(names(&arrays(&["images", "labels"]), Split::Train), None);
        assert_eq!(names(&arrays(&["test_images"]), Split::Test), None);
    }
}
