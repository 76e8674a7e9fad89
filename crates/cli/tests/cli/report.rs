//! `--report`: what the folder holds, who may read it, and what the page says, read back as a browser sees it.

mod browser;

use crate::support::{Scratch, table};
use browser::Browser;
use serde_json::Value;

/// Class names that would be elements, entities or the end of a script if they were not escaped.
const NAMES: [&str; 3] = ["<b>&\"bold\"", "</script><img src=x>", "'elm'"];

/// Tables with labels of [`NAMES`].
fn named() -> Scratch {
    let scratch = Scratch::new();
    for (file, rows, seed) in [("train.csv", 60, 1), ("test.csv", 40, 2)] {
        let line = |line: &str| {
            let (label, features) = line.split_once(',').unwrap();
            format!("\"{}\",{features}\n", NAMES[label.parse::<usize>().unwrap()].replace('"', "\"\""))
        };
        scratch.write(file, table(rows, 6, 3, seed).lines().map(line).collect::<String>());
    }
    scratch
}

fn page(scratch: &Scratch, folder: &str) -> String {
    String::from_utf8(scratch.read(&format!("{folder}/report.html"))).unwrap()
}

fn numbers(scratch: &Scratch, folder: &str) -> Value {
    serde_json::from_slice(&scratch.read(&format!("{folder}/report.json"))).unwrap()
}

/// The object in a page's script element.
fn embedded(page: &str) -> Value {
    let (_, rest) = page.split_once("type=\"application/json\">").expect("numbers in the page");
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

/// Checks that a page asks for nothing: every source and address in it is data.
fn asks_for_nothing(page: &str) {
    let markup = page.split_once("<script id=\"report\"").expect("numbers at the end").0;
    for name in ["src=\"", "href=\"", "url(", "@import"] {
        for (at, _) in markup.match_indices(name) {
            let value = &markup[at + name.len()..];
            assert!(name == "src=\"" && value.starts_with("data:image/png;base64,"), "{name}{:.60}", value);
        }
    }
    assert!(markup.contains("default-src 'none'"), "a policy that forbids requests");
    assert!(!markup.contains("://"), "an address in the page");
}

#[test]
fn a_report_of_a_run_holds_the_object_that_is_printed_and_every_iterate() {
    let scratch = named();
    let run = "run --train train.csv --test test.csv --report OUT";
    let printed = scratch.json(&format!("{run} --json"));
    assert_eq!(scratch.listing(), ["OUT", "OUT/report.html", "OUT/report.json", "test.csv", "train.csv"]);
    let page = page(&scratch, "OUT");
    asks_for_nothing(&page);
    assert_eq!(numbers(&scratch, "OUT"), printed);
    assert_eq!(embedded(&page), printed);
    for list in ["accuracy", "sle", "max_weight_error"] {
        assert_eq!(printed[format!("{list}_per_iteration")].as_array().unwrap().len(), 2, "--report implies --trace");
    }
    assert_eq!(printed["class_names"].as_array().unwrap().len(), 3);
    let confusion: u64 = printed["confusion"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(confusion, 40);
    assert!(!page.contains("<b>") && !page.contains("<img src=x>"), "{page}");
    scratch.fails(2, run, &["OUT", "exists", "--force"]);
    let text = scratch.succeeds(&format!("{run} --force"));
    assert!(text.contains("report: OUT/report.html"), "{text}");
}

#[test]
fn a_report_of_evaluate_says_whether_it_may_be_shown() {
    let scratch = Scratch::with_artefacts();
    let printed = scratch.json("evaluate --head head.safetensors --test test.csv --json --report OUT");
    assert_eq!(numbers(&scratch, "OUT"), printed);
    let page = page(&scratch, "OUT");
    asks_for_nothing(&page);
    assert!(page.contains("Keep this page to yourself"), "{page}");
    let interval = printed["accuracy_interval"].as_array().unwrap();
    let [low, high] = [&interval[0], &interval[1]].map(|end| end.as_f64().unwrap());
    assert!((low..=high).contains(&printed["accuracy"].as_f64().unwrap()));

    scratch.succeeds("decrypt --model model.enc --keys KEYS --publish --out public.safetensors");
    scratch.succeeds("evaluate --head public.safetensors --test test.csv --report PUBLIC");
    assert!(!self::page(&scratch, "PUBLIC").contains("Keep this page"));
}

#[test]
#[cfg(unix)]
fn reports_on_private_heads_can_be_read_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::with_artefacts();
    scratch.succeeds("evaluate --head head.safetensors --test test.csv --report OUT");
    scratch.succeeds("run --train table.csv --test test.csv --iterations 1 --report RUN");
    for (path, mode) in [
        ("OUT", 0o700),
        ("OUT/report.html", 0o600),
        ("OUT/report.json", 0o600),
        ("RUN", 0o700),
        ("RUN/report.html", 0o600),
    ] {
        let found = scratch.path(path).metadata().unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{path}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_the_work() {
    let scratch = Scratch::with_artefacts();
    let run = "run --train table.csv --test test.csv --report";
    scratch.fails(2, &format!("{run} no/where"), &["no/where", "create it"]);
    scratch.fails(2, &format!("{run} table.csv"), &["table.csv", "no folder"]);
    scratch.fails(2, &format!("{run} KEYS --force"), &["KEYS", "name another"]);
    scratch.fails(2, "demo --report KEYS --force", &["KEYS", "name another"]);
    scratch.fails(2, "evaluate --head head.safetensors --test test.csv --report JOB", &["JOB", "name another"]);
}

#[test]
fn browsers_show_the_figures_of_the_object_and_ask_for_nothing() {
    let Some(browser) = Browser::find() else {
        println!("skipped: no chromium here");
        return;
    };
    let scratch = named();
    scratch.succeeds("demo --report DEMO");
    scratch.succeeds("run --train train.csv --test test.csv --report RUN");
    scratch.succeeds("curves --train train.csv --test test.csv --iterations 30 --report CURVES");

    for folder in ["DEMO", "RUN"] {
        let (dom, object) = (browser.dom(&scratch.path(&format!("{folder}/report.html"))), numbers(&scratch, folder));
        assert_eq!(embedded(&dom), object, "{folder}");
        let percent = |field: &str| format!("{:.2} %", 100.0 * object[field].as_f64().unwrap());
        assert_eq!(browser::text_of(&dom, "accuracy"), percent("accuracy"));
        assert_eq!(browser::text_of(&dom, "accuracy-plaintext"), percent("accuracy_plaintext"));
        assert_eq!(
            browser::text_of(&dom, "weight-error"),
            format!("{:.1e}", object["max_weight_error"].as_f64().unwrap())
        );
        let cells = browser::cells_of(&dom, "confusion");
        for (row, counts) in object["confusion"].as_array().unwrap().iter().enumerate() {
            let counts: Vec<String> = counts.as_array().unwrap().iter().map(|n| n.to_string()).collect();
            assert_eq!(cells[row][..counts.len()], counts, "{folder}, row {row}");
        }
        let (wrong, right) = (&object["specimens"]["wrong"], &object["specimens"]["right"]);
        let specimens = wrong.as_array().unwrap().len() + right.as_array().unwrap().len();
        assert_eq!(dom.matches("class=\"verdict\"").count(), specimens, "{folder}");
        let pictures = dom.matches("src=\"data:image/png;base64,").count();
        assert_eq!(pictures, if folder == "DEMO" { specimens } else { 0 }, "{folder}");
        assert_eq!(dom.matches("<svg class=\"chart\"").count(), 3, "{folder}");
    }
    let dom = browser.dom(&scratch.path("RUN/report.html"));
    assert!(
        dom.contains("&lt;b&gt;&amp;\"bold\"") && dom.contains("&lt;/script&gt;&lt;img src=x&gt;"),
        "names are text"
    );

    let (dom, object) = (browser.dom(&scratch.path("CURVES/report.html")), numbers(&scratch, "CURVES"));
    assert_eq!(embedded(&dom), object);
    assert_eq!(dom.matches("<svg class=\"chart\"").count(), 6);
    let last = 100.0 * object["curves"][4]["test"]["accuracy"][30].as_f64().unwrap();
    assert_eq!(browser::cells_of(&dom, "accuracies")[4].last().unwrap(), &format!("{last:.1}"));

    let drawn = browser.screenshot(&scratch.path("DEMO/report.html"));
    assert!(drawn.starts_with(b"\x89PNG") && drawn.len() > 20_000, "{} bytes", drawn.len());
}
