//! What `run` prints.

use ciphertune_session::rehearsal::{Findings, Precision, Stopped};

use crate::text::{Table, bytes, count, percent, printable, seconds, thousands};

/// The report for people.
pub fn text(findings: &Findings) -> String {
    let mut table = Table::default();
    let scored = |accuracy, right| {
        format!(
            "{:>8}  ({} of {} right)",
            percent(accuracy),
            thousands(right as u64),
            thousands(findings.test_rows as u64)
        )
    };
    table.row("accuracy, encrypted", scored(findings.accuracy, findings.right));
    table.row("accuracy, in the clear", scored(findings.accuracy_plaintext, findings.right_plaintext));
    if let (Some(encrypted), Some(clear)) =
        (&findings.accuracy_per_iteration, &findings.accuracy_per_iteration_plaintext)
    {
        let lines = encrypted.iter().zip(clear).enumerate();
        let lines: Vec<String> = lines
            .map(|(t, (e, c))| format!("{:>3}: {:>8} encrypted, {:>8} in the clear", t + 1, percent(*e), percent(*c)))
            .collect();
        table.row("after iteration", lines.join("\n"));
    }
    if let Some(Stopped { after, best, right, rows }) = findings.stopped {
        let (right, rows) = (thousands(right as u64), thousands(rows as u64));
        table.row(
            "ended early",
            format!("after iteration {after}; the model is that of {best}: {right} of {rows} held-out rows right"),
        );
    }
    table.row("SLE", format!("{:.2} encrypted, {:.2} in the clear", findings.sle, findings.sle_plaintext));
    table.row("largest weight error", format!("{:.1e} of the largest weight", findings.max_weight_error));
    let Precision { predicted, measured, .. } = findings.precision_bits;
    table.row("precision", format!("{measured:.1} bits measured, {predicted:.1} predicted"));
    table.row(
        "largest logit",
        format!("{:.2} (the sigmoid is meant for {})", findings.largest_logit, findings.sigmoid_range),
    );
    let s = findings.seconds;
    if let Some(provenance) = &findings.provenance {
        let took = if s.extract > 0.0 { seconds(s.extract) } else { String::new() };
        table.row("owner: features", format!("{took:>8}   of {}", printable(&provenance.to_string())));
    }
    table.row("owner: keys", format!("{:>8}   {} of evaluation keys", seconds(s.keygen), bytes(findings.key_bytes)));
    let upload = format!("{} in {}", bytes(findings.upload_bytes), count(findings.upload_ciphertexts, "ciphertext"));
    table.row("owner: encrypt", format!("{:>8}   {upload}", seconds(s.encrypt)));
    let work = format!(
        "{}, {}",
        count(findings.key_switches as usize, "key switch"),
        count(findings.products as usize, "product")
    );
    table.row("server: load", format!("{:>8}", seconds(s.load)));
    table.row("server: train", format!("{:>8}   {work}", seconds(s.train)));
    if findings.ciphertexts_read_again > 0 {
        let (kept, all) = (findings.kept_ciphertexts, count(findings.upload_ciphertexts, "ciphertext"));
        let (kept, read) = (thousands(kept as u64), thousands(findings.ciphertexts_read_again));
        table.row("", format!("{kept} of {all} kept, {read} read again"));
    }
    if findings.refreshes > 0 {
        let (request, answer) = (bytes(findings.request_bytes), bytes(findings.answer_bytes));
        let refreshes = count(findings.refreshes, "refresh");
        table.row(
            "owner: refresh",
            format!("{:>8}   {refreshes}: {request} down, {answer} up each", seconds(s.refresh)),
        );
    }
    table.row("owner: decrypt", format!("{:>8}   {} of model", seconds(s.decrypt), bytes(findings.model_bytes)));
    let security =
        format!("N = 2^{}, log QP = {:.0}, at least {} bits", findings.log_n, findings.log_qp, findings.security_bits);
    table.row("security", security);
    table.row("levels", format!("{}, {} left", findings.levels, findings.levels_left));
    if let Some(peak) = findings.peak_memory_bytes {
        table.row("peak memory", bytes(peak));
    }
    format!(
        "Trained on {} x {}, {}, encrypted:\n{}, recipe {}, layout {}\n\n{}",
        count(findings.rows, "row"),
        count(findings.features, "feature"),
        count(findings.classes, "class"),
        count(findings.iterations, "iteration"),
        findings.recipe.name(),
        findings.layout,
        table.render()
    )
}
