// The official packages for Node, `openai` and `@anthropic-ai/sdk`: whole, streams, tools, schema, embeddings, their errors.

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const { GATEWAY_URL, GATEWAY_KEY, EMBEDDER, HATEFUL } = process.env;
const MODELS = JSON.parse(process.env.MODELS);
const KEYS = JSON.parse(process.env.KEYS);
const HELLO = "Hello there, who are you?";
const CALL_NOW = "Look. [[call=1]]";
const BROKEN = "Break. [[status=503]]";
const PLACE = {
  type: "object",
  properties: { city: { type: "string" }, number: { type: "integer" } },
  required: ["city", "number"],
  additionalProperties: false,
};
const WEATHER = { name: "get_weather", description: "The weather of a city.", parameters: PLACE };

const openai = (apiKey = GATEWAY_KEY) =>
  new OpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey, maxRetries: 0, timeout: 30_000 });
const anthropic = (apiKey = GATEWAY_KEY) =>
  new Anthropic({ baseURL: GATEWAY_URL, apiKey, maxRetries: 0, timeout: 30_000 });
const says = (content) => [{ role: "user", content }];
const sunny = ({ city, number }) => `${city}-${number}-sunny`;
const must = (truth, what) => {
  if (!truth) throw new Error(what);
};

const features = {
  async whole(model) {
    const answer = await openai().chat.completions.create({ model, messages: says(HELLO), max_completion_tokens: 400 });
    must(answer.usage.completion_tokens === 25, "usage");
    return answer.choices[0].message.content;
  },
  async stream(model) {
    const stream = openai().chat.completions.stream({ model, messages: says(HELLO), max_completion_tokens: 400 });
    const words = [];
    stream.on("content", (delta) => words.push(delta));
    const said = await stream.finalContent();
    must(words.length > 5 && words.join("") === said, "it streamed");
    return said;
  },
  async responses(model) {
    const stream = openai().responses.stream({ model, input: HELLO, max_output_tokens: 400 });
    return (await stream.finalResponse()).output_text;
  },
  async tools(model) {
    const tools = [{ type: "function", function: WEATHER }];
    const ask = (messages) => openai().chat.completions.create({ model, messages, tools, max_completion_tokens: 400 });
    const first = (await ask(says(CALL_NOW))).choices[0].message;
    const [call] = first.tool_calls;
    const args = JSON.parse(call.function.arguments);
    const result = { role: "tool", tool_call_id: call.id, content: sunny(args) };
    const then = (await ask([...says(CALL_NOW), first, result])).choices[0].message.content;
    return { name: call.function.name, args, then };
  },
  async schema(model) {
    const response_format = { type: "json_schema", json_schema: { name: "place", schema: PLACE, strict: true } };
    const asked = { model, messages: says(HELLO), response_format, max_completion_tokens: 400 };
    return (await openai().chat.completions.parse(asked)).choices[0].message.parsed;
  },
  async messages(model) {
    const answer = await anthropic().messages.create({ model, messages: says(HELLO), max_tokens: 400 });
    must(answer.usage.output_tokens === 25, "usage");
    return answer.content[0].text;
  },
  async messages_stream(model) {
    const stream = anthropic().messages.stream({ model, messages: says(HELLO), max_tokens: 400 });
    let words = 0;
    stream.on("text", () => words++);
    const said = await stream.finalText();
    must(words > 5, "it streamed");
    return said;
  },
};

const nameOf = async (act) => {
  try {
    await act();
  } catch (error) {
    return error.constructor.name;
  }
  return "none";
};
const errorsOf = async (ask, model) => ({
  unknown: await nameOf(() => ask(HELLO, KEYS.unknown, model)),
  poor: await nameOf(() => ask(HELLO, KEYS.poor, model)),
  narrow: await nameOf(async () => {
    for (let i = 0; i < 2; i++) await ask(HELLO, KEYS.narrow, model);
  }),
  model: await nameOf(() => ask(HELLO, GATEWAY_KEY, "no-such-model")),
  policy: await nameOf(() => ask(HATEFUL, GATEWAY_KEY, model)),
  broken: await nameOf(() => ask(BROKEN, GATEWAY_KEY, model)),
});
const once = {
  async embedding() {
    return (await openai().embeddings.create({ model: EMBEDDER, input: ["one", "two"] })).data.length;
  },
  errors: () =>
    errorsOf(
      (text, key, model) => openai(key).chat.completions.create({ model, messages: says(text), max_completion_tokens: 400 }),
      MODELS.openai,
    ),
  messages_errors: () =>
    errorsOf(
      (text, key, model) => anthropic(key).messages.create({ model, messages: says(text), max_tokens: 400 }),
      MODELS.anthropic,
    ),
};

const tried = async (act, model) => {
  try {
    return await act(model);
  } catch (error) {
    return `${error.constructor.name}: ${error.message}`;
  }
};
const seen = {};
for (const [feature, act] of Object.entries(features)) {
  seen[feature] = {};
  for (const [provider, model] of Object.entries(MODELS)) seen[feature][provider] = await tried(act, model);
}
for (const [feature, act] of Object.entries(once)) seen[feature] = await tried(act);
console.log(JSON.stringify(seen));
