//! The frame of every page: title, style, numbers, and a policy that forbids it to load anything.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// What a browser may do with the page: apply the style in it and show the pictures in it.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// A page: its title, a line below it, the sections, and the object that `--json` prints.
pub fn page(title: &str, subtitle: &str, body: Markup, json: &str) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "ciphertune " (env!("CARGO_PKG_VERSION")) };
                title { (title) }
                style { (PreEscaped(include_str!("chart.css"))) (PreEscaped(include_str!("style.css"))) }
            }
            body {
                header {
                    p.mark { "Ciphertune" }
                    h1 { (title) }
                    p.lead { (subtitle) }
                }
                main { (body) }
                footer {
                    p { "Made by ciphertune " (env!("CARGO_PKG_VERSION")) ". This page loads nothing. Its numbers are in "
                        code { "report.json" } " beside it, and in the page itself as " code { "script#report" } "." }
                }
                script id="report" type="application/json" { (PreEscaped(embeddable(json))) }
            }
        }
    };
    page.into_string()
}

/// JSON that can stand in a script element: no name or label in it can end the element.
fn embeddable(json: &str) -> String {
    // These occur within strings only, where the escape means the same.
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// A table below what is to be said of it; it scrolls sideways where it is too wide.
pub fn wide(label: &str, caption: &str, table: Markup) -> Markup {
    html! {
        figure {
            figcaption { (caption) }
            div.wide role="region" aria-label=(label) tabindex="0" { (table) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_whatever_they_contain() {
        let name = r#"</script><b>&"'"#;
        let json = serde_json::json!({ "class": name }).to_string();
        let text = page(name, name, html! { p title=(name) { (name) } }, &json);
        assert!(!text.contains("<b>") && text.matches("</script>").count() == 1, "{text}");
        let embedded = text.split_once(r#"type="application/json">"#).unwrap().1.split_once("</script>").unwrap().0;
        let object: serde_json::Value = serde_json::from_str(embedded).unwrap();
        assert_eq!(object["class"], name);
    }
}
