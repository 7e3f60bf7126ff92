// The official clients for Node, with the same face as those for Python in clients.py.
//
// node clients.mjs PACKAGES URL KEY reads lines of JSON, [client, action, arguments], and answers each
// with one. PACKAGES is the folder that holds node_modules.

import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [packages, url, firstKey] = process.argv.slice(2);
const load = createRequire(join(packages, "package.json"));
const { OpenAI } = load("openai");
const { Anthropic } = load("@anthropic-ai/sdk");
const { GoogleGenAI } = load("@google/genai");
const ai = load("ai");
const { createOpenAI } = load("@ai-sdk/openai");
const { createAnthropic } = load("@ai-sdk/anthropic");
const { createGoogleGenerativeAI } = load("@ai-sdk/google");

const TIMEOUT = 30_000; // milliseconds
const THINKING_BUDGET = 2048; // tokens
const OUTPUT_LIMIT = 4096; // tokens
const CITY = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const ABOUT_WEATHER = { name: "get_weather", description: "Tells the weather of a city." };

// Standard output holds answers alone.
globalThis.AI_SDK_LOG_WARNINGS = false;
console.log = console.info = console.warn = console.error;

// Every client here calls the global fetch.
let heard = [];
const realFetch = globalThis.fetch;
globalThis.fetch = async (...request) => {
  const response = await realFetch(...request);
  const told = (name) => response.headers.get(`x-providerpool-${name}`);
  heard.push({
    provider: told("provider"),
    model: told("model"),
    translation: told("translation"),
    status: response.status,
  });
  return response;
};

// A failure that an SDK hands over as an event.
class BrokenStream extends Error {}

function turn(text, reasoning, calls, finish, tokens, parts = 0) {
  const plain = tokens.map((count) => count ?? null);
  return { text: text ?? "", reasoning: reasoning ?? "", calls, finish, tokens: plain, parts };
}

async function converse(client, { model, prompts, streamed, results, thinks, image }) {
  const history = [];
  const turns = [];
  for (const prompt of prompts) {
    history.push(...client.said(prompt, image));
    for (;;) {
      const asked = { model, history, streamed, tools: Boolean(results), thinks };
      const [one, message] = await client.answer(asked);
      turns.push(one);
      history.push(...message);
      if (one.calls.length === 0 || !results) break;
      history.push(...client.returned(one.calls, results));
    }
  }
  return turns;
}

async function all(pages) {
  const entries = [];
  for await (const entry of pages) entries.push(entry);
  return entries;
}

const joined = (texts) => texts.filter(Boolean).join("");

class OpenAiClient {
  constructor(key) {
    // Without retries of its own: what the pool answers is what a test sees.
    this.sdk = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: TIMEOUT });
  }

  async embed({ model, texts }) {
    const answer = await this.sdk.embeddings.create({ model, input: texts });
    return answer.data.map((entry) => entry.embedding);
  }

  async models() {
    return (await all(await this.sdk.models.list())).map((model) => model.id);
  }
}

class OpenAiChat extends OpenAiClient {
  said(prompt, image) {
    if (!image) return [{ role: "user", content: prompt }];
    const imageUrl = { url: `data:image/png;base64,${image}` };
    const parts = [
      { type: "text", text: prompt },
      { type: "image_url", image_url: imageUrl },
    ];
    return [{ role: "user", content: parts }];
  }

  returned(calls, results) {
    return calls.map((call) => ({
      role: "tool",
      tool_call_id: call.id,
      content: results[call.arguments.city],
    }));
  }

  async answer({ model, history, streamed, tools, thinks }) {
    const options = { model, messages: history };
    if (tools) {
      const called = { ...ABOUT_WEATHER, parameters: CITY };
      options.tools = [{ type: "function", function: called }];
    }
    if (thinks) options.reasoning_effort = "low";
    let whole;
    let parts = 0;
    if (streamed) {
      const stream = this.sdk.chat.completions.stream({
        ...options,
        stream_options: { include_usage: true },
      });
      const thoughts = { reasoning_content: "", reasoning_details: [] };
      for await (const chunk of stream) {
        const delta = chunk.choices[0]?.delta ?? {};
        if (delta.content) parts += 1;
        thoughts.reasoning_content += delta.reasoning_content ?? delta.reasoning ?? "";
        thoughts.reasoning_details.push(...(delta.reasoning_details ?? []));
      }
      whole = await stream.finalChatCompletion();
      // The helper keeps only the last piece of what is not OpenAI's own.
      const { reasoning, ...message } = whole.choices[0].message;
      whole.choices[0].message = message;
      for (const [name, value] of Object.entries(thoughts)) {
        if (value.length > 0) message[name] = value;
        else delete message[name];
      }
    } else {
      whole = await this.sdk.chat.completions.create(options);
    }
    const { message, finish_reason: finish } = whole.choices[0];
    const calls = (message.tool_calls ?? []).map((call) => ({
      id: call.id,
      name: call.function.name,
      arguments: JSON.parse(call.function.arguments),
    }));
    const usage = whole.usage;
    const tokens = [
      usage.prompt_tokens,
      usage.prompt_tokens_details?.cached_tokens,
      usage.completion_tokens,
      usage.completion_tokens_details?.reasoning_tokens,
    ];
    const reasoning = message.reasoning_content ?? message.reasoning;
    return [turn(message.content, reasoning, calls, finish, tokens, parts), [message]];
  }
}

class OpenAiResponses extends OpenAiClient {
  said(prompt, image) {
    if (!image) return [{ role: "user", content: prompt }];
    const imageUrl = `data:image/png;base64,${image}`;
    const parts = [
      { type: "input_text", text: prompt },
      { type: "input_image", image_url: imageUrl, detail: "auto" },
    ];
    return [{ role: "user", content: parts }];
  }

  returned(calls, results) {
    return calls.map((call) => ({
      type: "function_call_output",
      call_id: call.id,
      output: results[call.arguments.city],
    }));
  }

  async answer({ model, history, streamed, tools, thinks }) {
    // Nothing is kept there: what was thought comes back with what follows.
    const options = { model, input: history, store: false };
    if (tools) {
      options.tools = [{ type: "function", ...ABOUT_WEATHER, parameters: CITY, strict: false }];
    }
    if (thinks) {
      options.reasoning = { effort: "low", summary: "auto" };
      options.include = ["reasoning.encrypted_content"];
    }
    let whole;
    let parts = 0;
    if (streamed) {
      const stream = this.sdk.responses.stream(options);
      for await (const event of stream) {
        if (event.type === "response.output_text.delta") parts += 1;
        if (event.type === "response.failed") throw new BrokenStream(event.response.error.message);
      }
      whole = await stream.finalResponse();
    } else {
      whole = await this.sdk.responses.create(options);
    }
    const ofType = (type) => whole.output.filter((item) => item.type === type);
    const calls = ofType("function_call").map((call) => ({
      id: call.call_id,
      name: call.name,
      arguments: JSON.parse(call.arguments),
    }));
    const thoughts = ofType("reasoning").flatMap((item) =>
      item.summary?.length ? item.summary : (item.content ?? []),
    );
    const reasoning = joined(thoughts.map((part) => part.text));
    const usage = whole.usage;
    const tokens = [
      usage.input_tokens,
      usage.input_tokens_details?.cached_tokens,
      usage.output_tokens,
      usage.output_tokens_details?.reasoning_tokens,
    ];
    return [turn(whole.output_text, reasoning, calls, whole.status, tokens, parts), whole.output];
  }
}

class AnthropicClient {
  constructor(key) {
    this.sdk = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0, timeout: TIMEOUT });
  }

  said(prompt, image) {
    if (!image) return [{ role: "user", content: prompt }];
    const source = { type: "base64", media_type: "image/png", data: image };
    const parts = [
      { type: "text", text: prompt },
      { type: "image", source },
    ];
    return [{ role: "user", content: parts }];
  }

  returned(calls, results) {
    const content = calls.map((call) => ({
      type: "tool_result",
      tool_use_id: call.id,
      content: results[call.arguments.city],
    }));
    return [{ role: "user", content }];
  }

  async answer({ model, history, streamed, tools, thinks }) {
    const options = { model, messages: history, max_tokens: OUTPUT_LIMIT };
    if (tools) options.tools = [{ ...ABOUT_WEATHER, input_schema: CITY }];
    if (thinks) options.thinking = { type: "enabled", budget_tokens: THINKING_BUDGET };
    let whole;
    let parts = 0;
    if (streamed) {
      const stream = this.sdk.messages.stream(options);
      stream.on("text", () => {
        parts += 1;
      });
      whole = await stream.finalMessage();
    } else {
      whole = await this.sdk.messages.create(options);
    }
    const blocks = (type) => whole.content.filter((block) => block.type === type);
    const calls = blocks("tool_use").map((call) => ({
      id: call.id,
      name: call.name,
      arguments: call.input,
    }));
    const text = joined(blocks("text").map((block) => block.text));
    const reasoning = joined(blocks("thinking").map((block) => block.thinking));
    const usage = whole.usage;
    const cached = usage.cache_read_input_tokens ?? 0;
    const written = usage.cache_creation_input_tokens ?? 0;
    const tokens = [
      usage.input_tokens + cached + written,
      cached,
      usage.output_tokens,
      usage.output_tokens_details?.thinking_tokens,
    ];
    const message = { role: "assistant", content: whole.content };
    return [turn(text, reasoning, calls, whole.stop_reason, tokens, parts), [message]];
  }

  async count({ model, prompt }) {
    const messages = this.said(prompt);
    return (await this.sdk.messages.countTokens({ model, messages })).input_tokens;
  }

  async models() {
    return (await all(await this.sdk.models.list())).map((model) => model.id);
  }
}

class GoogleGenAi {
  constructor(key) {
    const httpOptions = { baseUrl: url, timeout: TIMEOUT };
    this.sdk = new GoogleGenAI({ apiKey: key, httpOptions });
  }

  said(prompt, image) {
    const parts = [{ text: prompt }];
    if (image) parts.push({ inlineData: { mimeType: "image/png", data: image } });
    return [{ role: "user", parts }];
  }

  returned(calls, results) {
    const parts = calls.map((call) => {
      const result = results[call.arguments.city];
      return { functionResponse: { id: call.id, name: call.name, response: { result } } };
    });
    return [{ role: "user", parts }];
  }

  async answer({ model, history, streamed, tools, thinks }) {
    const config = { maxOutputTokens: OUTPUT_LIMIT };
    if (tools) {
      const declared = { ...ABOUT_WEATHER, parametersJsonSchema: CITY };
      config.tools = [{ functionDeclarations: [declared] }];
    }
    if (thinks) {
      config.thinkingConfig = { includeThoughts: true, thinkingBudget: THINKING_BUDGET };
    }
    const options = { model, contents: history, config };
    const chunks = streamed
      ? await all(await this.sdk.models.generateContentStream(options))
      : [await this.sdk.models.generateContent(options)];
    const candidates = chunks.flatMap((chunk) => chunk.candidates?.slice(0, 1) ?? []);
    const parts = candidates.flatMap((candidate) => candidate.content?.parts ?? []);
    const finishes = candidates.map((candidate) => candidate.finishReason).filter(Boolean);
    if (finishes.length !== 1) throw new Error(`finish reasons: ${finishes}`);
    const calls = parts
      .filter((part) => part.functionCall)
      .map(({ functionCall: { id, name, args } }) => ({ id, name, arguments: args }));
    const texts = parts.filter((part) => part.text && !part.thought).map((part) => part.text);
    const thoughts = parts.filter((part) => part.text && part.thought).map((part) => part.text);
    const usage = chunks.map((chunk) => chunk.usageMetadata).filter(Boolean).at(-1);
    const thinking = usage.thoughtsTokenCount;
    const tokens = [
      usage.promptTokenCount,
      usage.cachedContentTokenCount,
      (usage.candidatesTokenCount ?? 0) + (thinking ?? 0),
      thinking,
    ];
    const count = streamed ? texts.length : 0;
    const one = turn(joined(texts), joined(thoughts), calls, finishes[0], tokens, count);
    return [one, [{ role: "model", parts }]];
  }

  async embed({ model, texts }) {
    const answer = await this.sdk.models.embedContent({ model, contents: texts });
    return answer.embeddings.map((entry) => entry.values);
  }

  async count({ model, prompt }) {
    return (await this.sdk.models.countTokens({ model, contents: prompt })).totalTokens;
  }

  async models() {
    const listed = await all(await this.sdk.models.list());
    return listed.map((model) => model.name.replace(/^models\//, ""));
  }
}

// The AI SDK calls the tools and goes on by itself, and says each step.
class AiSdk {
  // `connect` makes the model of a name, `thinking` holds a vendor's own way of asking for it.
  constructor(connect, thinking, embedding) {
    Object.assign(this, { connect, thinking, embedding });
  }

  async converse({ model, prompts, streamed, results, thinks, image }) {
    const options = {
      model: this.connect(model),
      maxRetries: 0,
      maxOutputTokens: OUTPUT_LIMIT,
      stopWhen: ai.stepCountIs(4),
      providerOptions: thinks ? this.thinking : {},
    };
    if (results) {
      const weather = ai.tool({
        description: ABOUT_WEATHER.description,
        inputSchema: ai.jsonSchema(CITY),
        execute: ({ city }) => results[city],
      });
      options.tools = { get_weather: weather };
    }
    const messages = [];
    const turns = [];
    for (const prompt of prompts) {
      const content = [{ type: "text", text: prompt }];
      if (image) content.push({ type: "image", image, mediaType: "image/png" });
      messages.push({ role: "user", content });
      const [steps, said, parts] = await (streamed ? this.streamed : this.whole)({
        ...options,
        messages,
      });
      messages.push(...said);
      turns.push(...steps.map((step, place) => this.turn(step, parts[place])));
    }
    return turns;
  }

  async whole(options) {
    const result = await ai.generateText(options);
    return [result.steps, result.response.messages, []];
  }

  async streamed(options) {
    let broken = null;
    const onError = ({ error }) => {
      broken = error;
    };
    const result = ai.streamText({ ...options, onError });
    const parts = [];
    for await (const part of result.fullStream) {
      if (part.type === "start-step") parts.push(0);
      if (part.type === "text-delta") parts[parts.length - 1] += 1;
    }
    if (broken) throw broken;
    return [await result.steps, (await result.response).messages, parts];
  }

  turn(step, parts) {
    const calls = step.toolCalls.map((call) => ({
      id: call.toolCallId,
      name: call.toolName,
      arguments: call.input,
    }));
    const { usage } = step;
    const tokens = [
      usage.inputTokens,
      usage.inputTokenDetails?.cacheReadTokens,
      usage.outputTokens,
      usage.outputTokenDetails?.reasoningTokens,
    ];
    return turn(step.text, step.reasoningText, calls, step.finishReason, tokens, parts);
  }

  async embed({ model, texts }) {
    const asked = { model: this.embedding(model), values: texts, maxRetries: 0 };
    return (await ai.embedMany(asked)).embeddings;
  }
}

function aiOpenAi(key, kind) {
  const provider = createOpenAI({ baseURL: `${url}/v1`, apiKey: key });
  const thinking = {
    forceReasoning: true,
    reasoningEffort: "low",
    ...(kind === "responses" && {
      reasoningSummary: "auto",
      store: false,
      include: ["reasoning.encrypted_content"],
    }),
  };
  return new AiSdk(provider[kind], { openai: thinking }, provider.embedding);
}

function aiAnthropic(key) {
  const provider = createAnthropic({ baseURL: `${url}/v1`, apiKey: key });
  const thinking = { type: "enabled", budgetTokens: THINKING_BUDGET };
  return new AiSdk(provider, { anthropic: { thinking } });
}

function aiGoogle(key) {
  const provider = createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey: key });
  const thinkingConfig = { includeThoughts: true, thinkingBudget: THINKING_BUDGET };
  return new AiSdk(provider, { google: { thinkingConfig } }, provider.embedding);
}

const CLIENTS = {
  "openai-chat": (key) => new OpenAiChat(key),
  "openai-responses": (key) => new OpenAiResponses(key),
  anthropic: (key) => new AnthropicClient(key),
  google: (key) => new GoogleGenAi(key),
  "ai-openai-chat": (key) => aiOpenAi(key, "chat"),
  "ai-openai-responses": (key) => aiOpenAi(key, "responses"),
  "ai-anthropic": (key) => aiAnthropic(key),
  "ai-google": (key) => aiGoogle(key),
};

async function answer([name, action, { key = firstKey, ...options }]) {
  heard = [];
  try {
    const client = CLIENTS[name](key);
    const isLoop = action === "converse" && !client.converse;
    const value = await (isLoop ? converse(client, options) : client[action](options));
    return { value, heard };
  } catch (error) {
    const type = error.constructor.name;
    const status = error.status ?? error.statusCode ?? null;
    return { error: { type, status, message: String(error.message) }, heard };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}
