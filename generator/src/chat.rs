//! A conversation in the words the model was trained on: the chat template of its own metadata.

use crate::error::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, ErrorKind, context};
use serde::{Deserialize, Serialize};

/// Longest template that is compiled. The longest published ones have about 15,000 bytes.
const MAX_TEMPLATE_BYTES: usize = 1 << 18;
/// Instructions one rendering may take: about a thousand per message in the longest templates, and
/// a template comes from a file that somebody else wrote.
const MAX_TEMPLATE_STEPS: u64 = 10_000_000;
const NAME: &str = "chat_template";

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

impl Message {
    /// A turn of `role`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

/// A compiled chat template: Jinja as Hugging Face's `apply_chat_template` understands it.
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Compiles `source`; `bos` and `eos` are what `bos_token` and `eos_token` stand for in it.
    pub(crate) fn new(source: String, bos: &str, eos: &str) -> Result<Self> {
        if source.len() > MAX_TEMPLATE_BYTES {
            let reason = format!("{} bytes long, at most {MAX_TEMPLATE_BYTES} are taken", source.len());
            return Err(Error::ChatTemplate { reason });
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.expect("the default delimiters are valid"));
        environment.set_fuel(Some(MAX_TEMPLATE_STEPS));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |reason: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, reason))
        });
        environment.add_function("strftime_now", |format: String| strftime(platform::unix_ms(), &format));
        environment.add_filter("tojson", to_json);
        environment.add_template_owned(NAME, source).map_err(broken)?;
        Ok(Self { environment, bos: bos.into(), eos: eos.into() })
    }

    /// As [`Self::render`]; what a system says to a template that knows none (Gemma's, the first
    /// Mistral's) begins the first turn of the user.
    pub(crate) fn prompt(&self, messages: &[Message], thinking: bool) -> Result<String> {
        match (self.render(messages, thinking), messages) {
            (Err(refused), [system, user, rest @ ..]) if system.role == "system" && user.role == "user" => {
                let first = Message::new("user", format!("{}\n\n{}", system.content, user.content));
                let merged = [&[first][..], rest].concat();
                self.render(&merged, thinking).map_err(|_| refused)
            }
            (rendered, _) => rendered,
        }
    }

    /// The prompt that asks for the assistant's next turn. A template that lets the model think aloud first
    /// does so unless it is told otherwise.
    pub(crate) fn render(&self, messages: &[Message], thinking: bool) -> Result<String> {
        let template = self.environment.get_template(NAME).expect("added in the constructor");
        let messages =
            messages.iter().map(|m| context! { role => m.role.as_str(), content => m.content.as_str() });
        let values = context! {
            messages => messages.collect::<Vec<_>>(),
            tools => (),
            documents => (),
            add_generation_prompt => true,
            // Undefined is what templates take for leave to think.
            enable_thinking => if thinking { Value::UNDEFINED } else { Value::from(false) },
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        template.render(values).map_err(broken)
    }
}

fn broken(error: minijinja::Error) -> Error {
    let reason = match error.detail() {
        // What the template itself raised.
        Some(detail) if error.kind() == ErrorKind::InvalidOperation => detail.to_string(),
        _ => error.to_string(),
    };
    Error::ChatTemplate { reason }
}

/// Python's `json.dumps(value, ensure_ascii=False)`, which is what the filter means in these
/// templates (Jinja's own would escape HTML, and minijinja's leaves no blanks).
fn to_json(value: Value, options: Kwargs) -> Result<Value, minijinja::Error> {
    let indent: Option<usize> = options.get("indent")?;
    options.assert_all_used()?;
    let mut out = Vec::new();
    let written = match indent {
        Some(n) => {
            let spaces = vec![b' '; n.min(16)];
            let formatter = serde_json::ser::PrettyFormatter::with_indent(&spaces);
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, PythonFormatter)),
    };
    written.map_err(|e| minijinja::Error::new(ErrorKind::BadSerialization, e.to_string()))?;
    Ok(Value::from(String::from_utf8(out).expect("JSON is UTF-8")))
}

/// `", "` and `": "` between entries, on one line.
struct PythonFormatter;

impl serde_json::ser::Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

/// `strftime` in UTC, for the directives that chat templates use; others stay as they are.
fn strftime(unix_ms: i64, format: &str) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const WEEKDAYS: [&str; 7] =
        ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    let seconds = unix_ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let month_name = MONTHS[month as usize - 1];
    let weekday = WEEKDAYS[days.rem_euclid(7) as usize]; // day 0 was a Thursday

    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('Y') => out += &year.to_string(),
            Some('y') => out += &format!("{:02}", year.rem_euclid(100)),
            Some('m') => out += &format!("{month:02}"),
            Some('d') => out += &format!("{day:02}"),
            Some('B') => out += month_name,
            Some('b') => out += &month_name[..3],
            Some('A') => out += weekday,
            Some('a') => out += &weekday[..3],
            Some('H') => out += &format!("{:02}", second / 3600),
            Some('M') => out += &format!("{:02}", second / 60 % 60),
            Some('S') => out += &format!("{:02}", second % 60),
            Some('%') => out.push('%'),
            Some(other) => out.extend(['%', other]),
            None => out.push('%'),
        }
    }
    out
}

/// (year, month, day) of a day counted from 1970-01-01, after Howard Hinnant, "chrono-compatible
/// low-level date algorithms": years begin in March, so that the leap day is the last one.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Deserialize)]
    struct Golden {
        templates: BTreeMap<String, String>,
        rows: Vec<Row>,
    }

    #[derive(Deserialize)]
    struct Row {
        template: String,
        conversation: String,
        messages: Vec<Message>,
        rendered: Option<String>,
        refused: Option<String>,
    }

    #[test]
    fn renders_what_transformers_renders() {
        let golden: Golden =
            serde_json::from_str(include_str!("../../fixtures/golden/chat_templates.json")).unwrap();
        assert!(golden.rows.len() >= 40);
        for row in golden.rows {
            let template = ChatTemplate::new(golden.templates[&row.template].clone(), "<s>", "</s>").unwrap();
            let name = format!("{} {}", row.template, row.conversation);
            match template.render(&row.messages, true) {
                Ok(rendered) => assert_eq!(Some(rendered), row.rendered, "{name}"),
                Err(Error::ChatTemplate { reason }) => assert_eq!(Some(reason), row.refused, "{name}"),
                Err(other) => panic!("{name}: {other}"),
            }
        }
    }

    #[test]
    fn hostile_templates_are_errors() {
        for source in [
            "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
            "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
            "{{ messages[99].content.nope() }}",
            "{{ undefined_function() }}",
            "{% include 'other' %}",
        ] {
            let template = ChatTemplate::new(source.into(), "", "").unwrap();
            let rendered = template.render(&[Message::new("user", "hi")], true);
            assert!(matches!(rendered, Err(Error::ChatTemplate { .. })), "{source}: {rendered:?}");
        }
        for source in ["{% for %}", "{{ 'open", &"x".repeat(MAX_TEMPLATE_BYTES + 1)] {
            assert!(matches!(ChatTemplate::new(source.into(), "", ""), Err(Error::ChatTemplate { .. })));
        }
    }

    #[test]
    fn dates_are_pythons() {
        #[track_caller]
        fn check(unix_s: i64, expect: &str) {
            assert_eq!(strftime(unix_s * 1000, "%a %A %d %b %B %m %y %Y %H:%M:%S %% %q"), expect);
        }
        check(0, "Thu Thursday 01 Jan January 01 70 1970 00:00:00 % %q");
        check(951_782_399, "Mon Monday 28 Feb February 02 00 2000 23:59:59 % %q");
        check(951_782_400, "Tue Tuesday 29 Feb February 02 00 2000 00:00:00 % %q");
        check(4_107_542_399, "Sun Sunday 28 Feb February 02 00 2100 23:59:59 % %q");
        check(4_107_542_400, "Mon Monday 01 Mar March 03 00 2100 00:00:00 % %q");
    }

    /// The end of Qwen 3's template.
    #[test]
    fn thinking_is_a_switch() {
        let source =
            "{%- if enable_thinking is defined and enable_thinking is false %}<think></think>{%- endif %}";
        let template = ChatTemplate::new(source.into(), "", "").unwrap();
        assert_eq!(template.render(&[], true).unwrap(), "");
        assert_eq!(template.render(&[], false).unwrap(), "<think></think>");
    }

    #[test]
    fn a_template_without_a_system_gets_its_words_in_the_first_turn() {
        let source = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}\
            [{{ m.role }}: {{ m.content }}]{% endfor %}";
        let template = ChatTemplate::new(source.into(), "", "").unwrap();
        let turns = [
            Message::new("system", "Be brief."),
            Message::new("user", "Why?"),
            Message::new("assistant", "So."),
        ];
        assert_eq!(template.prompt(&turns, false).unwrap(), "[user: Be brief.\n\nWhy?][assistant: So.]");
        let error = template.prompt(&turns[..1], false).unwrap_err().to_string();
        assert!(error.contains("no system"), "{error}");
    }
}
