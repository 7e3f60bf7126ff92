use proptest::{collection::vec, option, prelude::*};

use super::{Vocabulary, answers, base64, flag, object, text, where_said, word};
use crate::domain::{
    chat::{
        CacheHint, CallKind, Content, Document, FunctionTool, ImageDetail, OutputFormat, Part,
        Request, Role, Sampling, Source, Tool, ToolCall, ToolChoice, ToolResult, Turn,
    },
    id::ModelName,
};

/// A request whose turns alternate, whose instructions lead, and where each call has its result.
pub(crate) fn request(can: Vocabulary) -> impl Strategy<Value = Request> {
    let rounds = vec(round(can), 0..3);
    let turns = (option::of(instructions(can)), rounds, user_turn(can)).prop_map(
        |(instructions, rounds, last)| {
            instructions.into_iter().chain(rounds.into_iter().flatten()).chain([last]).collect()
        },
    );
    let tools = vec(tool(can), 0..3).prop_map(|mut tools: Vec<Tool>| {
        // Tools are told apart by their names.
        for (number, tool) in tools.iter_mut().enumerate() {
            if let Tool::Function(FunctionTool { name, .. }) | Tool::Custom { name, .. } = tool {
                name.push_str(&number.to_string());
            }
        }
        tools
    });
    let limits = (option::of(1_u64..100_000), vec(word(), 0..3), option::of(any::<bool>()));
    let metadata =
        prop::collection::btree_map(word(), text(), 0..=if can.metadata { 2 } else { 0 });
    (turns, tools, tool_choice(), output(can), sampling(can), limits, metadata, any::<bool>())
        .prop_map(|(turns, tools, choice, output, sampling, limits, metadata, stream)| {
            let model = ModelName::parse("a-model").expect("it is a name");
            let (max_output_tokens, stop, parallel) = limits;
            let tool_choice = choice.filter(|_| !tools.is_empty()).map(|choice| match choice {
                ToolChoice::Named(_) => tools.iter().find_map(named).unwrap_or(ToolChoice::Auto),
                other => other,
            });
            Request {
                stream,
                tool_choice,
                parallel_tool_calls: parallel.filter(|_| !tools.is_empty()),
                tools,
                output,
                max_output_tokens,
                stop,
                sampling,
                metadata,
                ..Request::new(model, turns)
            }
        })
}

fn named(tool: &Tool) -> Option<ToolChoice> {
    match tool {
        Tool::Function(function) => Some(ToolChoice::Named(function.name.clone())),
        Tool::Custom { .. } | Tool::Opaque { .. } => None,
    }
}

fn instructions(can: Vocabulary) -> impl Strategy<Value = Turn> {
    (text(), flag(can.developer), cache(can)).prop_map(|(text, is_developer, cache)| {
        let role = if is_developer { Role::Developer } else { Role::System };
        Turn::new(role, vec![Part { cache, ..Part::text(text) }])
    })
}

fn user_turn(can: Vocabulary) -> impl Strategy<Value = Turn> {
    let parts = vec((user_content(can), cache(can)), 1..4);
    (parts, where_said(can.names, word())).prop_map(|(parts, name)| {
        let parts = parts.into_iter().map(|(content, cache)| Part { content, cache }).collect();
        Turn { role: Role::User, name, parts }
    })
}

fn user_content(can: Vocabulary) -> impl Strategy<Value = Content> {
    let plain = |text| Content::Text { text, citations: Vec::new() };
    prop_oneof![
        4 => text().prop_map(plain),
        1 => image(can),
        1 => (base64(), option::of(word())).prop_map(|(base64, title)| {
            let source = Source::Data { media_type: "application/pdf".to_owned(), base64 };
            Content::Document(Document { source, title, context: None, citations: None })
        }),
        1 => base64().prop_map(|base64| {
            Content::Audio(Source::Data { media_type: "audio/wav".to_owned(), base64 })
        }),
    ]
    .prop_map(move |content| match content {
        Content::Image { .. } if !can.images => plain("an image".to_owned()),
        Content::Document(_) if !can.documents => plain("a document".to_owned()),
        Content::Audio(_) if !can.audio => plain("a sound".to_owned()),
        content => content,
    })
}

fn image(can: Vocabulary) -> impl Strategy<Value = Content> {
    let detail = prop::sample::select(vec![ImageDetail::Low, ImageDetail::High]);
    (base64(), flag(can.image_urls), where_said(can.image_detail, detail)).prop_map(
        |(base64, is_url, detail)| {
            let source = if is_url {
                Source::Url("https://example.com/a.png".to_owned())
            } else {
                Source::Data { media_type: "image/png".to_owned(), base64 }
            };
            Content::Image { source, detail }
        },
    )
}

/// What a user says, what is answered, and the results of the calls in it.
fn round(can: Vocabulary) -> impl Strategy<Value = Vec<Turn>> {
    let said = (option::of(answers::reasoning(can)), option::of(text()));
    let calls = vec((answers::call(can), text(), flag(can.tool_errors)), 0..3);
    (user_turn(can), said, calls).prop_map(move |(user, (thought, text), calls)| {
        let thought =
            thought.filter(|_| can.reasoning).map(|thought| Content::Reasoning(thought).into());
        let is_silent = text.is_none() && calls.is_empty();
        let text = text.or_else(|| is_silent.then(|| "well".to_owned())).map(Part::text);
        let mut parts: Vec<Part> = thought.into_iter().chain(text).collect();
        let mut results = Vec::new();
        for (number, (mut call, result, is_error)) in calls.into_iter().enumerate() {
            if can.call_ids {
                call.id.push_str(&number.to_string());
            }
            results.push(result_of(&call, result, is_error));
            parts.push(Content::ToolCall(call).into());
        }
        let mut turns = vec![user, Turn::new(Role::Assistant, parts)];
        if !results.is_empty() {
            turns.push(Turn::new(Role::Tool, results));
        }
        turns
    })
}

fn result_of(call: &ToolCall, text: String, is_error: bool) -> Part {
    let (call_id, kind): (_, CallKind) = (call.id.clone(), call.kind);
    let parts = vec![Part::text(text)];
    // Without ids it is the name that says whose result it is.
    let name = call_id.is_empty().then(|| call.name.clone());
    Content::ToolResult(ToolResult { call_id, name, kind, parts, is_error }).into()
}

fn cache(can: Vocabulary) -> impl Strategy<Value = Option<CacheHint>> {
    let hint = prop::sample::select(vec![CacheHint::FiveMinutes, CacheHint::OneHour]);
    where_said(can.cache_hints, hint)
}

fn tool(can: Vocabulary) -> impl Strategy<Value = Tool> {
    let schema = object().prop_map(|_| {
        let schema = r#"{"type":"object","properties":{"city":{"type":"string"}}}"#;
        crate::domain::chat::Json::parse(schema).expect("it is JSON")
    });
    let function = (word(), option::of(text()), schema, cache(can)).prop_map(
        |(name, description, parameters, cache)| {
            let parameters = Some(parameters);
            Tool::Function(FunctionTool { name, description, parameters, strict: None, cache })
        },
    );
    let custom = (word(), option::of(text())).prop_map(|(name, description)| Tool::Custom {
        name,
        description,
        format: None,
    });
    (function, custom, flag(can.custom_tools))
        .prop_map(|(function, custom, is_custom)| if is_custom { custom } else { function })
}

fn tool_choice() -> impl Strategy<Value = Option<ToolChoice>> {
    option::of(prop::sample::select(vec![
        ToolChoice::Auto,
        ToolChoice::None,
        ToolChoice::Required,
        ToolChoice::Named(String::new()),
    ]))
}

fn output(can: Vocabulary) -> impl Strategy<Value = OutputFormat> {
    (word(), object(), 0..3).prop_map(move |(name, schema, which)| match which {
        1 if can.json_mode => OutputFormat::Json,
        2 if can.schemas => {
            OutputFormat::Schema { name: Some(name), description: None, schema, strict: None }
        }
        _ => OutputFormat::Text,
    })
}

fn sampling(can: Vocabulary) -> impl Strategy<Value = Sampling> {
    let quarters = || option::of((0_u8..=4).prop_map(|quarters| f64::from(quarters) / 4.0));
    let whole = || 0_i64..1_000;
    (
        quarters(),
        quarters(),
        where_said(can.top_k, 1_u64..100),
        quarters(),
        where_said(can.seed, whole()),
    )
        .prop_map(move |(temperature, top_p, top_k, penalty, seed)| Sampling {
            temperature,
            top_p,
            top_k,
            frequency_penalty: penalty.filter(|_| can.penalties),
            presence_penalty: penalty.filter(|_| can.penalties),
            seed,
            ..Sampling::default()
        })
}
