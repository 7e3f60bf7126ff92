use super::*;

/// What a client that may use `a` and `b/c` alone is told.
fn forbidden(body: &str) -> Option<String> {
    let Fields(fields) = serde_json::from_str(body).unwrap();
    let fields = fields.into_iter().map(|(key, value)| (key, value.get().as_bytes()));
    find_forbidden(fields, &|name| matches!(name, "a" | "b/c"))
}

#[test]
fn every_field_by_which_a_model_is_picked_is_found() {
    for (fields, path) in [
        (r#""models":["a","F"]"#, "models"),
        (r#""MODELS":["F"]"#, "MODELS"),
        (r#""mod\u0065ls":"F""#, "models"),
        (r#""models":["\ud800"]"#, "models"),
        (r#""models":[{"model":"F"}]"#, "models"),
        (r#""route":"fallback""#, "route"),
        (r#""agent":{"name":"x","type":"agent_reference"}"#, "agent"),
        (r#""agent_reference":{"name":"x"}"#, "agent_reference"),
        (r#""tensorzero::variant_name":"x""#, "tensorzero::variant_name"),
        (r#""merged_adapters":{"ids":["x"]}"#, "merged_adapters"),
        (r#""lora_request":{"lora_name":"x"}"#, "lora_request"),
        (r#""azure_deployment":"F""#, "azure_deployment"),
        (r#""preset":"mine""#, "preset"),
        (r#""models":["a@preset/mine"]"#, "models"),
        (
            r#""plugins":[{"id":"auto-router","allowed_models":["b/*"]}]"#,
            "plugins[0].allowed_models",
        ),
        (r#""plugins":[{"id":"x","model":"F"}]"#, "plugins[0].model"),
        (r#""tools":[{"type":"image_generation","model":"F"}]"#, "tools[0].model"),
        (r#""tools":[{"type":"advisor_20260301","name":"advisor","model":"F"}]"#, "tools[0].model"),
        (
            r#""tools":[{"type":"openrouter:advisor","parameters":{"model":"F"}}]"#,
            "tools[0].parameters.model",
        ),
        (
            r#""tools":[{"type":"function","Type":"x:y","parameters":{"model":"F"}}]"#,
            "tools[0].parameters.model",
        ),
        (r#""tools":[{"model":"F","model":"a"}]"#, "tools[0].model"),
        (r#""tools":[{"\ud800":1,"model":"F"}]"#, "tools[0]"),
        (
            r#""tools":[{"type":"namespace","tools":[{"type":"x","model":"F"}]}]"#,
            "tools[0].tools[0].model",
        ),
        (
            r#""input":[{"type":"additional_tools","tools":[{"type":"x","model":"F"}]}]"#,
            "input[0].tools[0].model",
        ),
        (r#""fallbacks":["F"]"#, "fallbacks"),
        (r#""fallbacks":[{"model":"F","messages":[]}]"#, "fallbacks"),
        (r#""fallbacks":[{"a":["F"]}]"#, "fallbacks"),
        (r#""fallback_models":["F"]"#, "fallback_models"),
        (r#""context_window_fallbacks":[{"a":["F"]}]"#, "context_window_fallbacks"),
        (r#""user_config":{}"#, "user_config"),
        (r#""compound_custom":{"models":{"answering_model":"F"}}"#, "compound_custom.models"),
        (r#""providerOptions":{"gateway":{"models":["F"]}}"#, "providerOptions.gateway.models"),
        (r#""orq":{"fallbacks":["F"]}"#, "orq.fallbacks"),
        (r#""draft_model":"F""#, "draft_model"),
        (r#""extra_body":{"model":"F"}"#, "extra_body.model"),
        (r#""extra_body":{"preset":"x"}"#, "extra_body.preset"),
        (r#""agent_id":"x""#, "agent_id"),
        (r#""prompt":{"id":"pmpt_1"}"#, "prompt"),
        (r#""prompt":[{"id":"pmpt_1"}]"#, "prompt"),
        (r#""name":"F""#, "name"),
        (r#""engine":"F""#, "engine"),
        (r#""deployment_id":"F""#, "deployment_id"),
        (
            r#""generationConfig":{"routingConfig":{"manualMode":{"modelName":"F"}}}"#,
            "generationConfig.routingConfig.manualMode.modelName",
        ),
        (
            r#""generation_config":{"routing_config":{"auto_mode":{"model_routing_preference":"X"}}}"#,
            "generation_config.routing_config.auto_mode.model_routing_preference",
        ),
    ] {
        let body = format!(r#"{{"model":"a",{fields}}}"#);
        assert_eq!(forbidden(&body).as_deref(), Some(path), "{body}");
    }
}

#[test]
fn what_names_only_what_may_be_used_passes() {
    for fields in [
        r#""models":["a","b/c"]"#,
        r#""models":null"#,
        r#""requests":[{"model":"models/a"}]"#,
        r#""tools":[{"type":"image_generation","model":"b/c"}]"#,
        r#""fallbacks":[{"model":"a","messages":[{"model":"x"}]}]"#,
        r#""compound_custom":{"models":{"answering_model":"a","reasoning_model":null}}"#,
        r#""name":"a""#,
    ] {
        let body = format!(r#"{{"model":"a",{fields}}}"#);
        assert_eq!(forbidden(&body), None, "{body}");
    }
}

#[test]
fn what_is_the_clients_own_is_not_looked_at() {
    for fields in [
        r#""messages":[{"role":"user","content":[{"model":"F"}],"tool_calls":[{"function":{"name":"f","arguments":"{\"model\":1}"}}]}]"#,
        r#""metadata":{"model":"F","preset":"x"}"#,
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"model":{}}}}}]"#,
        r#""tools":[{"type":"function","name":"f","parameters":{"model":"F"}}]"#,
        r#""tools":[{"name":"f","input_schema":{"properties":{"model":{},"route":{}}}}]"#,
        r#""tools":[{"functionDeclarations":[{"name":"f","parameters":{"properties":{"model":{}}}}]}]"#,
        r#""input":[{"type":"message","content":[{"text":"x","model":"F"}]}]"#,
        r#""input":["model"]"#,
        r#""prompt":"model""#,
        r#""prompt":["model",[1,2]]"#,
        r#""plugins":[{"id":"web","engine":"exa"}]"#,
        r#""response_format":{"json_schema":{"schema":{"properties":{"model":{}}}}}"#,
        r#""provider":{"order":["x"],"allow_fallbacks":true}"#,
        r#""generationConfig":{"responseSchema":{"properties":{"model":{}}}}"#,
        r#""text":{"format":{"type":"json_schema","schema":{"properties":{"model":{}}}}}"#,
    ] {
        let body = format!(r#"{{"model":"a",{fields}}}"#);
        assert_eq!(forbidden(&body), None, "{body}");
    }
}
