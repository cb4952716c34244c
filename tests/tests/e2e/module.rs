//! `footnote.js`: the engine for pages of somebody's own, without ours.

use std::time::Duration;

use browser::{Browser, Site};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(240);

/// A page of the origin that has nothing but the module, opened with these options.
fn open(browser: &mut Browser, site: &Site, options: &str) {
    browser.goto(&format!("{}/style.css", site.origin()));
    let script = format!(
        "(async () => {{
           const {{ Footnote }} = await import('/footnote.js');
           globalThis.steps = [];
           globalThis.footnote = await Footnote.open({{ onProgress: (step) => steps.push(step), ...{options} }});
           globalThis.caught = (work) => work.then((value) => ({{ value }}),
             ({{ name, message, status, code, param }}) => ({{ name, message, status, code, param }}));
           return 'open'; }})()"
    );
    assert_eq!(browser.eval_within(&script, LIMIT), "open");
}

fn create(body: &Value) -> String {
    format!("footnote.chat.completions.create({body})")
}

#[test]
fn chats_and_embeds_without_the_page() {
    let site = Site::start();
    let mut browser = Browser::plain();
    open(&mut browser, &site, "{ tier: 'cpu' }");
    let steps = browser.eval("[...new Set(steps.map(({ step }) => step))]");
    assert!(steps.to_string().contains("fetching"), "{steps}");
    let fetched =
        browser.eval("steps.findLast(({ step, file }) => step === 'fetching' && file === 'model.gguf')");
    assert_eq!(fetched["doneBytes"], fetched["totalBytes"], "{fetched}");
    let models = browser.eval_within("footnote.models.list()", LIMIT);
    let kinds: Vec<&str> =
        models["data"].as_array().into_iter().flatten().filter_map(|model| model["kind"].as_str()).collect();
    assert_eq!(kinds, ["generator", "embedder"], "{models}");
    answers_are_whole_or_streamed(&mut browser);
    a_form_is_kept(&mut browser);
    vectors_are_of_the_texts(&mut browser);
    what_is_wrong_is_refused(&mut browser);
    what_is_stopped_stops(&mut browser);
    browser.eval("footnote.close()");
    let closed = browser.eval("caught(footnote.models.list())");
    assert!(closed["message"].as_str().is_some_and(|text| text.contains("closed")), "{closed}");
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

fn capital() -> Value {
    json!([{"role": "user", "content": "What is the capital of France?"}])
}

fn answers_are_whole_or_streamed(browser: &mut Browser) {
    let mut body = json!({"messages": capital(), "temperature": 0, "max_tokens": 12});
    let whole = browser.eval_within(&create(&body), LIMIT);
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
    // So small a model is right with one kind of SIMD and wrong with another, by a hair.
    assert_eq!(
        (&whole["usage"]["completion_tokens"], &whole["choices"][0]["finish_reason"]),
        (&json!(12), &json!("length"))
    );
    assert!(text.split_whitespace().count() > 2, "{whole}");
    body["stream"] = true.into();
    let script = format!(
        "(async () => {{ let text = '', n = 0;
           for await (const {{ choices }} of await {}) {{ text += choices[0].delta.content ?? ''; n++; }}
           return [text, n]; }})()",
        create(&body)
    );
    let streamed = browser.eval_within(&script, LIMIT);
    assert_eq!(streamed[0], text.as_str(), "the pieces make the same text");
    assert!(streamed[1].as_u64().is_some_and(|n| n > 4), "{streamed}");
}

fn a_form_is_kept(browser: &mut Browser) {
    let format = json!({"type": "json_schema", "json_schema": {"schema": {
        "type": "object",
        "properties": {"capital": {"enum": ["Paris", "Rome"]}, "european": {"type": "boolean"}},
        "required": ["capital", "european"],
    }}});
    let body = json!({"messages": capital(), "temperature": 0, "max_tokens": 60, "response_format": format});
    let answer = browser.eval_within(&create(&body), LIMIT);
    let answer: Value =
        serde_json::from_str(answer["choices"][0]["message"]["content"].as_str().unwrap_or_default())
            .unwrap_or_else(|error| panic!("{answer}: {error}"));
    assert!(answer["european"].is_boolean() && answer["capital"].is_string(), "{answer}");
}

fn vectors_are_of_the_texts(browser: &mut Browser) {
    let script = "(async () => {
       const { data } = await footnote.embeddings.create({ input: ['a cat', 'a kitten', 'a tax return'] });
       const dot = (a, b) => a.embedding.reduce((sum, x, i) => sum + x * b.embedding[i], 0);
       return [dot(data[0], data[0]), dot(data[0], data[1]), dot(data[0], data[2])]; })()";
    let near = browser.eval_within(script, LIMIT);
    let near: Vec<f64> = near.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    assert!((near[0] - 1.0).abs() < 1e-4 && near[1] > near[2], "{near:?}");
}

fn what_is_wrong_is_refused(browser: &mut Browser) {
    for (body, status, param) in [
        (json!({"messages": []}), 400, "messages"),
        (json!({"messages": capital(), "temperature": 9}), 400, "temperature"),
        (json!({"messages": capital(), "model": "gpt-9", "stream": true}), 404, "model"),
    ] {
        let caught = browser.eval_within(&format!("caught({})", create(&body)), LIMIT);
        assert_eq!((&caught["status"], &caught["param"]), (&json!(status), &json!(param)), "{caught}");
        assert_eq!(caught["name"], "FootnoteError");
    }
}

/// Who leaves the loop, or aborts, stops the answer: the next request does not wait for 900 tokens.
fn what_is_stopped_stops(browser: &mut Browser) {
    let story = json!([{"role": "user", "content": "Tell me a long story."}]);
    let script = format!(
        "(async () => {{
           let n = 0;
           for await (const piece of await {}) if (++n > 3) break;
           const stop = new AbortController();
           setTimeout(() => stop.abort(), 500);
           const aborted = await caught(footnote.chat.completions.create({}, {{ signal: stop.signal }}));
           const began = performance.now();
           await footnote.models.list();
           return [aborted.name, performance.now() - began]; }})()",
        create(&json!({"messages": story, "max_tokens": 900, "stream": true})),
        json!({"messages": story, "max_tokens": 900}),
    );
    let told = browser.eval_within(&script, LIMIT);
    assert_eq!(told[0], "AbortError", "{told}");
    assert!(told[1].as_f64().is_some_and(|ms| ms < 5_000.0), "{told}");
}
