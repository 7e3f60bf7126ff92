//! Where each dialect says what routing asks of a request.

use super::body_fields::BodyFields;
use crate::gateway::{
    exchange::{ClientApi, ClientCall},
    translate::{InvalidRequest, embeddings::EmbeddingApi, responses::PREVIOUS},
};

/// What a value is where it stands. Of a list it is said of each element.
#[derive(Clone, Copy)]
pub(super) enum Is {
    /// Of no matter to the choice of a model.
    Nothing,
    /// Said to the model: a text, or an object that holds what is said.
    BodyFields(Shape),
    /// JSON that the model reads as it is written, or a text that holds some.
    Json,
    /// The conversation: turns, or what the user says.
    Turns(Shape),
    /// Instructions that stand beside the conversation.
    Instructions(Shape),
    /// Whose turn it is.
    Role,
    /// What it is, in the dialect's word: each with what it means. The empty word is any.
    Kind(&'static [(&'static str, Mark)]),
    /// A media type.
    MediaType,
    /// Something that counts when it is there.
    Marked(Mark, Shape),
}

/// The fields of an object that are read, each of which may stand in it once. The empty name is any.
pub(super) type Shape = &'static [(&'static str, Is)];

/// What there is in a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Nothing,
    Picture,
    Sound,
    /// What is no text, and asks nothing of a model that can be told.
    Medium,
    Tool,
    /// Something that only comes after an answer.
    Answer,
}

/// Where a field stands: the names on the way to it.
pub(super) type Path = &'static [&'static str];

/// The words of one API.
pub(super) struct Words {
    /// Whether a name in snake_case and one in camelCase are the same, as Google's JSON mapping has it.
    pub has_twins: bool,
    pub body: Shape,
    /// The objects within a body that say how it is answered.
    pub settings: &'static [&'static str],
    /// Whether an answer comes as a stream unless that is refused.
    pub streams_unasked: bool,
    /// Most tokens of an answer: of several fields the first that is there counts.
    pub limits: &'static [Path],
    /// The same where the client says none.
    pub usual_limit: u64,
    /// Whether the answer has to be JSON.
    pub is_json: fn(&BodyFields<'_>) -> bool,
    /// Names of the session, the most telling first.
    pub sessions: &'static [SessionWord],
    /// How to think.
    pub thinking: &'static [Path],
    /// What is asked of thoughts beside that: a list, and what stands in it.
    pub of_thoughts: Option<(&'static str, &'static str)>,
    /// Errors: what is missing, or is wrong everywhere.
    pub check: fn(&BodyFields<'_>) -> Result<(), InvalidRequest>,
}

/// A field that may name the session.
pub(super) struct SessionWord {
    pub kind: &'static str,
    pub path: Path,
    pub names: Names,
}

/// What the text of such a field names, unless it speaks of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Session,
    /// One, if nothing else does; else whoever has any number of them.
    SessionOrPerson,
    Person,
}

impl Names {
    /// Whether an id names a session. `is_named`: whether another one has before.
    pub fn is_session(self, id: &str, is_named: bool) -> bool {
        match self {
            Self::Session => true,
            Self::SessionOrPerson => !is_named || id.contains("session"),
            Self::Person => id.contains("session"),
        }
    }
}

impl Is {
    pub fn shape(self) -> Shape {
        match self {
            Self::BodyFields(shape)
            | Self::Turns(shape)
            | Self::Instructions(shape)
            | Self::Marked(_, shape) => shape,
            _ => &[],
        }
    }

    /// What an element of such a list is.
    pub fn of_element(self) -> Self {
        match self {
            Self::Instructions(shape) => Self::BodyFields(shape),
            // It was counted with the list.
            Self::Json => Self::Nothing,
            _ => self,
        }
    }
}

impl Words {
    pub fn of(asked: ClientCall) -> &'static Self {
        match asked {
            ClientCall::Generate(ClientApi::Chat) => &CHAT,
            ClientCall::Generate(ClientApi::Completions) => &COMPLETIONS,
            ClientCall::Generate(ClientApi::Responses) => &RESPONSES,
            ClientCall::Generate(ClientApi::Messages) => &MESSAGES,
            ClientCall::Generate(ClientApi::Gemini | ClientApi::GeminiArray) => &GEMINI,
            ClientCall::Generate(ClientApi::OllamaChat) => &OLLAMA_CHAT,
            ClientCall::Generate(ClientApi::OllamaGenerate) => &OLLAMA_GENERATE,
            ClientCall::TokenCount(ClientApi::Gemini | ClientApi::GeminiArray) => &GEMINI_COUNT,
            ClientCall::TokenCount(_) => &MESSAGES_COUNT,
            ClientCall::Embeddings(EmbeddingApi::OpenAi) => &OPENAI_EMBEDDINGS,
            ClientCall::Embeddings(EmbeddingApi::GeminiOne | EmbeddingApi::GeminiBatch) => {
                &GEMINI_EMBEDDINGS
            }
            ClientCall::Embeddings(EmbeddingApi::Ollama | EmbeddingApi::OllamaLegacy) => {
                &OLLAMA_EMBEDDINGS
            }
        }
    }
}

const TEXT: Is = Is::BodyFields(&[]);

/// An object of which these fields are read by their [`Path`].
const fn with(shape: Shape) -> Is {
    Is::Marked(Mark::Nothing, shape)
}

const METADATA: (&str, Is) =
    ("metadata", with(&[("user_id", Is::Nothing), ("session_id", Is::Nothing)]));
const CONVERSATION: (&str, Is) = ("conversation", with(&[("id", Is::Nothing)]));
const FORMAT: Is = with(&[("type", Is::Nothing)]);

const NOTHING: Words = Words {
    has_twins: false,
    body: &[],
    settings: &[],
    streams_unasked: false,
    limits: &[],
    usual_limit: 0,
    is_json: |_| false,
    sessions: &[],
    thinking: &[],
    of_thoughts: None,
    check: |_| Ok(()),
};

const fn session(kind: &'static str, path: Path) -> SessionWord {
    SessionWord { kind, path, names: Names::Session }
}

const OPENAI_SESSIONS: &[SessionWord] = &[
    session("body.prompt_cache_key", &["prompt_cache_key"]),
    session("body.session_id", &["session_id"]),
    session("body.conversation", &["conversation", "id"]),
    session("body.conversation", &["conversation"]),
    session("body.conversation_id", &["conversation_id"]),
    SessionWord {
        kind: "body.metadata.user_id",
        path: &["metadata", "user_id"],
        names: Names::SessionOrPerson,
    },
    session("body.metadata.session_id", &["metadata", "session_id"]),
    SessionWord { kind: "body.user", path: &["user"], names: Names::Person },
];

const JSON_FORMATS: [&str; 2] = ["json_object", "json_schema"];

fn is_json_format(said: &BodyFields<'_>, path: Path) -> bool {
    said.text(path).is_some_and(|kind| JSON_FORMATS.contains(&&*kind))
}

const FUNCTION: Shape = &[("description", TEXT), ("parameters", Is::Json)];
const CALLED: Shape = &[("arguments", Is::Json)];

const CHAT_PART: Shape = &[("type", Is::Kind(CHAT_KINDS)), ("text", TEXT), ("refusal", TEXT)];
const CHAT_KINDS: &[(&str, Mark)] = &[
    ("image_url", Mark::Picture),
    ("input_audio", Mark::Sound),
    ("video_url", Mark::Medium),
    ("file", Mark::Medium),
];
const CHAT_TURN: Shape = &[
    ("role", Is::Role),
    ("content", Is::BodyFields(CHAT_PART)),
    ("refusal", TEXT),
    // Those who tell thoughts in parts mostly tell them here too.
    ("reasoning_content", TEXT),
    // A sound of the model's own, by its id.
    ("audio", Is::Marked(Mark::Sound, &[])),
    (
        "tool_calls",
        Is::BodyFields(&[
            ("function", Is::BodyFields(CALLED)),
            ("custom", Is::BodyFields(&[("input", TEXT)])),
        ]),
    ),
    ("function_call", Is::BodyFields(CALLED)),
];
const CHAT_TOOL: Shape = &[
    ("type", Is::Nothing),
    ("function", Is::BodyFields(FUNCTION)),
    ("custom", Is::BodyFields(FUNCTION)),
];

const CHAT: Words = Words {
    body: &[
        ("messages", Is::Turns(CHAT_TURN)),
        ("tools", Is::Marked(Mark::Tool, CHAT_TOOL)),
        ("functions", Is::Marked(Mark::Tool, FUNCTION)),
        ("response_format", FORMAT),
        METADATA,
        CONVERSATION,
    ],
    settings: &["stream_options", "reasoning"],
    limits: &[&["max_completion_tokens"], &["max_tokens"]],
    is_json: |said| is_json_format(said, &["response_format", "type"]),
    sessions: OPENAI_SESSIONS,
    thinking: &[
        &["reasoning_effort"],
        &["reasoning"],
        &["thinking"],
        &["enable_thinking"],
        &["thinking_budget"],
        &["include_reasoning"],
    ],
    check: |said| {
        said.check_list("messages", "message")?;
        check_stream_options(said)
    },
    ..NOTHING
};

fn check_stream_options(said: &BodyFields<'_>) -> Result<(), InvalidRequest> {
    let is_flag = |flag: Option<&[u8]>| matches!(flag, None | Some(b"true" | b"false"));
    match said.find(&["stream_options"]) {
        None => Ok(()),
        Some(options)
            if options.starts_with(b"{")
                && is_flag(said.find(&["stream_options", "include_usage"])) =>
        {
            Ok(())
        }
        Some(_) => {
            let what = "stream_options must be an object whose include_usage is true or false";
            Err(InvalidRequest::about("stream_options", what))
        }
    }
}

const COMPLETIONS: Words = Words {
    body: &[("prompt", Is::Turns(&[])), METADATA, CONVERSATION],
    settings: CHAT.settings,
    limits: &[&["max_tokens"]],
    usual_limit: 16,
    sessions: OPENAI_SESSIONS,
    check: |said| said.check_there("prompt"),
    ..NOTHING
};

const RESPONSES_PART: Shape =
    &[("type", Is::Kind(RESPONSES_KINDS)), ("text", TEXT), ("refusal", TEXT)];
const RESPONSES_KINDS: &[(&str, Mark)] =
    &[("input_image", Mark::Picture), ("input_audio", Mark::Sound), ("input_file", Mark::Medium)];
const RESPONSES_ITEM: Shape = &[
    ("role", Is::Role),
    // All other items are calls, results and thoughts.
    ("type", Is::Kind(&[("message", Mark::Nothing), ("", Mark::Answer)])),
    ("content", Is::BodyFields(RESPONSES_PART)),
    ("output", Is::BodyFields(RESPONSES_PART)),
    ("arguments", Is::Json),
    ("input", TEXT),
    ("summary", Is::BodyFields(&[("text", TEXT)])),
];
const RESPONSES_TOOL: Shape = &[
    ("type", Is::Nothing),
    ("description", TEXT),
    ("parameters", Is::Json),
    // Those of a namespace.
    ("tools", Is::BodyFields(FUNCTION)),
];

const RESPONSES: Words = Words {
    body: &[
        ("instructions", Is::Instructions(&[])),
        ("input", Is::Turns(RESPONSES_ITEM)),
        ("tools", Is::Marked(Mark::Tool, RESPONSES_TOOL)),
        ("text", with(&[("format", FORMAT)])),
        METADATA,
        CONVERSATION,
    ],
    settings: &["stream_options", "reasoning", "text"],
    limits: &[&["max_output_tokens"]],
    is_json: |said| is_json_format(said, &["text", "format", "type"]),
    sessions: OPENAI_SESSIONS,
    thinking: &[&["reasoning"]],
    of_thoughts: Some(("include", "reasoning.encrypted_content")),
    check: check_responses,
    ..NOTHING
};

/// Refuses what stands on that only its maker has, or that only its maker can do later. To go on without
/// it would be an answer to something else.
fn check_responses(said: &BodyFields<'_>) -> Result<(), InvalidRequest> {
    if said.find(&["background"]) == Some(b"true") {
        let message = "background must be false: an answer is given at once or not at all";
        return Err(InvalidRequest::about("background", message));
    }
    for name in ["conversation", "prompt"] {
        if said.find(&[name]).is_some() {
            let message = format!("what {name} stands for is not known here: send it as input");
            return Err(InvalidRequest::about(name, message));
        }
    }
    let is_text = said.find(&["input"]).is_some_and(|input| input.starts_with(b"\""));
    // What continues an answer may have nothing new to say.
    if is_text || said.find(&[PREVIOUS]).is_some() {
        Ok(())
    } else {
        said.check_list("input", "item")
    }
}

const DOCUMENT: Is =
    Is::BodyFields(&[("content", Is::BodyFields(&[("type", Is::Kind(MESSAGES_KINDS))]))]);
/// Within a result.
const MESSAGES_INNER: Shape =
    &[("type", Is::Kind(MESSAGES_KINDS)), ("text", TEXT), ("source", DOCUMENT)];
const MESSAGES_PART: Shape = &[
    ("type", Is::Kind(MESSAGES_KINDS)),
    ("text", TEXT),
    ("thinking", TEXT),
    ("input", Is::Json),
    ("content", Is::BodyFields(MESSAGES_INNER)),
    ("source", DOCUMENT),
];
const MESSAGES_KINDS: &[(&str, Mark)] =
    &[("image", Mark::Picture), ("document", Mark::Medium), ("tool_result", Mark::Answer)];
const MESSAGES_TOOL: Shape =
    &[("type", Is::Nothing), ("description", TEXT), ("input_schema", Is::Json)];
const MESSAGES: Words = Words {
    check: |said| {
        said.check_list("messages", "message")?;
        match said.find(&["max_tokens"]).map(|_| said.whole(&["max_tokens"])) {
            None => Err(InvalidRequest::about("max_tokens", "max_tokens is required")),
            Some(None) => Err(InvalidRequest::about(
                "max_tokens",
                "max_tokens must be a whole number, at least 1",
            )),
            Some(Some(_)) => Ok(()),
        }
    },
    ..MESSAGES_COUNT
};

const MESSAGES_COUNT: Words = Words {
    body: &[
        ("system", Is::Instructions(MESSAGES_PART)),
        ("messages", Is::Turns(&[("role", Is::Role), ("content", Is::BodyFields(MESSAGES_PART))])),
        ("tools", Is::Marked(Mark::Tool, MESSAGES_TOOL)),
        METADATA,
    ],
    settings: &["thinking", "output_config"],
    limits: &[&["max_tokens"]],
    is_json: |said| {
        let formats: [Path; 2] = [&["output_config", "format"], &["output_format"]];
        formats.iter().any(|path| said.find(path).is_some())
    },
    // Claude Code names the session in it; of other clients it is a person.
    sessions: &[SessionWord {
        kind: "body.metadata.user_id",
        path: &["metadata", "user_id"],
        names: Names::Person,
    }],
    thinking: &[&["thinking"], &["output_config", "effort"]],
    check: |said| said.check_list("messages", "message"),
    ..NOTHING
};

const BLOB: Is = Is::Marked(Mark::Medium, &[("mimeType", Is::MediaType)]);
/// Texts under any name, however deep.
static TEXTS: [(&str, Is); 1] = [("", Is::BodyFields(&TEXTS))];
const GEMINI_RESULT: Shape = &[
    ("response", Is::BodyFields(&TEXTS)),
    ("parts", Is::BodyFields(&[("inlineData", BLOB), ("fileData", BLOB)])),
];
const GEMINI_PART: Shape = &[
    ("text", TEXT),
    ("inlineData", BLOB),
    ("fileData", BLOB),
    ("functionCall", Is::BodyFields(&[("args", Is::Json)])),
    ("functionResponse", Is::Marked(Mark::Answer, GEMINI_RESULT)),
];
const GEMINI_TOOL: Shape = &[(
    "functionDeclarations",
    Is::BodyFields(&[
        ("description", TEXT),
        ("parameters", Is::Json),
        ("parametersJsonSchema", Is::Json),
    ]),
)];
const GEMINI_BODY: Shape = &[
    ("systemInstruction", Is::Instructions(&[("parts", Is::BodyFields(GEMINI_PART))])),
    ("contents", Is::Turns(&[("role", Is::Role), ("parts", Is::BodyFields(GEMINI_PART))])),
    ("tools", Is::Marked(Mark::Tool, GEMINI_TOOL)),
];
const GEMINI_SETTINGS: &[&str] = &[
    "generateContentRequest",
    "generationConfig",
    "thinkingConfig",
    "toolConfig",
    "embedContentConfig",
];

const GEMINI: Words = Words {
    has_twins: true,
    body: GEMINI_BODY,
    settings: GEMINI_SETTINGS,
    limits: &[&["generationConfig", "maxOutputTokens"]],
    is_json: |said| {
        let kind = said.text(&["generationConfig", "responseMimeType"]);
        let schemas = ["responseSchema", "responseJsonSchema", "_responseJsonSchema"];
        let has_schema =
            || schemas.iter().any(|name| said.find(&["generationConfig", name]).is_some());
        kind.map_or_else(has_schema, |kind| kind == "application/json")
    },
    thinking: &[&["generationConfig", "thinkingConfig"]],
    check: |said| said.check_list("contents", "content"),
    ..NOTHING
};

const GEMINI_COUNT: Words = Words {
    has_twins: true,
    body: &[
        GEMINI_BODY[0],
        GEMINI_BODY[1],
        GEMINI_BODY[2],
        ("generateContentRequest", Is::BodyFields(GEMINI_BODY)),
    ],
    settings: GEMINI_SETTINGS,
    check: |said| match said.find(&["generateContentRequest"]) {
        Some(_) => Ok(()),
        None => said.check_list("contents", "content"),
    },
    ..NOTHING
};

const OLLAMA_PICTURES: Is = Is::Marked(Mark::Picture, &[]);
const OLLAMA_TURN: Shape = &[
    ("role", Is::Role),
    ("content", TEXT),
    ("thinking", TEXT),
    ("images", OLLAMA_PICTURES),
    ("tool_calls", Is::BodyFields(&[("function", Is::BodyFields(CALLED))])),
];

const OLLAMA_CHAT: Words = Words {
    body: &[("messages", Is::Turns(OLLAMA_TURN)), ("tools", Is::Marked(Mark::Tool, CHAT_TOOL))],
    settings: &["options"],
    streams_unasked: true,
    limits: &[&["options", "num_predict"]],
    is_json: |said| said.find(&["format"]).is_some_and(|format| format != b"\"\""),
    thinking: &[&["think"]],
    check: |said| said.check_list("messages", "message"),
    ..NOTHING
};

const OLLAMA_GENERATE: Words = Words {
    body: &[
        ("system", Is::Instructions(&[])),
        ("prompt", Is::Turns(&[])),
        ("images", OLLAMA_PICTURES),
    ],
    check: |said| said.check_there("prompt"),
    ..OLLAMA_CHAT
};

const OPENAI_EMBEDDINGS: Words = Words { settings: CHAT.settings, ..NOTHING };
const GEMINI_EMBEDDINGS: Words = Words { has_twins: true, settings: GEMINI_SETTINGS, ..NOTHING };
const OLLAMA_EMBEDDINGS: Words = Words { settings: OLLAMA_CHAT.settings, ..NOTHING };
