//! The tables, as both databases have them. Written by hand beside the migrations.

diesel::table! {
    pool_meta (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    providers (id) {
        id -> Text,
        custom -> Bool,
        name -> Nullable<Text>,
        location -> Nullable<Text>,
        base_url -> Nullable<Text>,
        chat_path -> Nullable<Text>,
        api_format -> Nullable<Text>,
        priority -> Nullable<Integer>,
        enabled -> Nullable<Bool>,
        models -> Nullable<Text>,
        headers_sealed -> Nullable<Text>,
        credential_strategy -> Nullable<Text>,
        rules -> Nullable<Text>,
        attempt_timeout_ms -> Nullable<Integer>,
        cooling -> Nullable<Text>,
        also_speaks -> Nullable<Text>,
        detected_formats -> Nullable<Text>,
        last_error -> Nullable<Text>,
        last_error_at -> Nullable<BigInt>,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    credentials (id) {
        id -> Text,
        provider_id -> Text,
        label -> Nullable<Text>,
        secret_sealed -> Text,
        mask -> Text,
        fingerprint -> Text,
        enabled -> Bool,
        priority -> Integer,
        weight -> Integer,
        max_in_flight -> Nullable<Integer>,
        egress_sealed -> Nullable<Text>,
        headers_sealed -> Nullable<Text>,
        created_at -> BigInt,
    }
}

diesel::table! {
    access_keys (id) {
        id -> Text,
        role -> Text,
        name -> Text,
        hash -> Text,
        allowed_models -> Text,
        created_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
        expires_at -> Nullable<BigInt>,
        master_key_id -> Nullable<Text>,
    }
}

diesel::table! {
    cooldowns (scope_key) {
        scope_key -> Text,
        provider_id -> Text,
        credential_id -> Nullable<Text>,
        model -> Nullable<Text>,
        cause -> Text,
        status -> Nullable<Integer>,
        started_at -> BigInt,
        until -> BigInt,
        strikes -> Integer,
    }
}

diesel::table! {
    usage_entries (request_id) {
        request_id -> Text,
        at -> BigInt,
        client_key_id -> Text,
        model -> Text,
        provider_id -> Nullable<Text>,
        upstream_model -> Nullable<Text>,
        credential_id -> Nullable<Text>,
        outcome -> Text,
        failure -> Nullable<Text>,
        streamed -> Bool,
        attempts -> Integer,
        tokens_input -> Nullable<BigInt>,
        tokens_cache_read -> Nullable<BigInt>,
        tokens_cache_write_5m -> Nullable<BigInt>,
        tokens_cache_write_1h -> Nullable<BigInt>,
        tokens_output -> Nullable<BigInt>,
        first_event_ms -> Nullable<BigInt>,
        duration_ms -> BigInt,
        usage_estimated -> Bool,
    }
}

diesel::table! {
    usage_hours (hour, provider_id, model) {
        hour -> BigInt,
        provider_id -> Text,
        model -> Text,
        requests -> BigInt,
        completed -> BigInt,
        failed -> BigInt,
        cancelled -> BigInt,
        unreported -> BigInt,
        estimated -> BigInt,
        tokens_input -> BigInt,
        tokens_cache_read -> BigInt,
        tokens_cache_write_5m -> BigInt,
        tokens_cache_write_1h -> BigInt,
        tokens_output -> BigInt,
        completed_ms -> BigInt,
    }
}

diesel::table! {
    routes (name) {
        name -> Text,
        targets -> Text,
        strategy -> Nullable<Text>,
        fallbacks -> Text,
        hedge -> Bool,
        across_tiers -> Bool,
        attempt_timeout_ms -> Nullable<Integer>,
        cooling -> Nullable<Text>,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    model_aliases (name) {
        name -> Text,
        model -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}
