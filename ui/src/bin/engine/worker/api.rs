//! OpenAI's API out of the models that this engine has loaded.

use assistant::Assistant;
use openai::{Chat, ChatRequest, Failure, Listed};
use serde_json::Value;
use ui::{Asker, Event};

use super::wire;

/// Answers a request; pieces of a stream are posted on the way.
pub async fn serve(assistant: &Assistant, asker: &Asker, path: &str, body: &str) -> Event {
    let answer = match path {
        "models" => models(assistant),
        "embeddings" => embeddings(assistant, body).await,
        "chat/completions" => chat(assistant, asker, body).await,
        _ => Err(Failure::no_path(path)),
    };
    match answer {
        Ok(body) => Event::Api { status: 200, body },
        Err(failure) => Event::Api { status: failure.status, body: failure.to_json() },
    }
}

fn models(assistant: &Assistant) -> Result<Value, Failure> {
    let state = assistant.state().map_err(|e| Failure::of_server(e.to_string()))?;
    let listed = [(state.generator, "generator"), (state.embedder, "embedder")];
    let listed = listed.into_iter().filter(|(model, _)| model.loaded);
    let listed = listed.map(|(model, kind)| Listed { id: model.id, kind: kind.to_owned() });
    Ok(openai::model_list(&listed.collect::<Vec<_>>()))
}

async fn embeddings(assistant: &Assistant, body: &str) -> Result<Value, Failure> {
    let id = assistant.state().map_err(|e| Failure::of_server(e.to_string()))?.embedder.id;
    let request: openai::EmbeddingsRequest = openai::read(body.as_bytes())?;
    check_model(&request.model, &id)?;
    openai::embeddings(assistant.embedder(), request, &id).await
}

async fn chat(assistant: &Assistant, asker: &Asker, body: &str) -> Result<Value, Failure> {
    let model = assistant.state().map_err(|e| Failure::of_server(e.to_string()))?.generator;
    let request: ChatRequest = openai::read(body.as_bytes())?;
    check_model(&request.model, &model.id)?;
    let Some(generator) = assistant.generator() else {
        let reason = model.problem.unwrap_or_else(|| "it was not asked for".to_owned());
        return Err(Failure::no_model(&model.id, &reason));
    };
    let mut send = |piece| {
        wire::post(asker, Event::ApiPiece(piece));
        true
    };
    let chat = Chat { model: &model.id, send: &mut send };
    Ok(openai::chat(generator, &request, chat).await?.unwrap_or_default())
}

/// An engine has one model of a kind: who names none means that one.
fn check_model(asked: &str, id: &str) -> Result<(), Failure> {
    let reason = format!("this engine has loaded `{id}`");
    if asked.is_empty() || asked == id { Ok(()) } else { Err(Failure::no_model(asked, &reason)) }
}
