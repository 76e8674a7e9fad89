//! What is said, before anything is trained, about the head that `decrypt --publish` will give.

use ciphertune_session::publication::LEAST_LOGIT_BITS;

/// With fewer bits of a logit than that, noise changes predictions.
const ENOUGH_LOGIT_BITS: f64 = 1.5;

/// The bits of a logit that a plan leaves to a published head, and what they mean.
pub fn expected(logit_bits: f64) -> String {
    let remedy = "take fewer features or iterations,\nor a larger --publish-bits, if you mean to publish";
    if logit_bits < LEAST_LOGIT_BITS {
        return format!("too few bits of a logit are left ({logit_bits:.1}), decrypt --publish will\nrefuse: {remedy}");
    }
    let bits = format!("about {logit_bits:.1} bits of a logit, if published");
    if logit_bits < ENOUGH_LOGIT_BITS { format!("{bits}: predictions will suffer;\n{remedy}") } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_when_its_head_will_be_refused_or_lose_accuracy() {
        assert_eq!(expected(2.04), "about 2.0 bits of a logit, if published");
        assert!(expected(1.2).contains("predictions will suffer") && expected(1.2).contains("--publish-bits"));
        let refused = expected(0.4);
        assert!(refused.contains("will\nrefuse") && refused.contains("--publish-bits"), "{refused}");
    }
}
