// Types of footnote.js. The shapes are those of OpenAI's API; what goes beyond it is marked.

export interface OpenOptions {
  /** Where `engine-worker.js` lies; beside `footnote.js` if not told. It must be of the page's own origin. */
  engine?: string | URL;
  /** What computes: the GPU where there is one (`auto`), the processor, or the GPU in any case. */
  tier?: "auto" | "cpu" | "gpu";
  /** Which generator is loaded, or `false` for none. */
  generator?: boolean | string;
  /** How many threads compute, where the page is isolated from other sites. */
  threads?: number | null;
  /** A mirror of huggingface.co. */
  mirror?: string | null;
  /** Told of each step until the engine is ready. */
  onProgress?: (progress: Progress) => void;
  /** Gives up opening. */
  signal?: AbortSignal;
}

export type Progress =
  | { step: "starting" | "opening" }
  | { step: "loading"; model: string }
  | {
      step: "fetching";
      model: string;
      file: string;
      doneBytes: number;
      totalBytes: number;
      /** Over the last seconds; `null` until that can be said. */
      bytesPerSecond: number | null;
      /** Until the whole model is here. */
      leftMs: number | null;
    };

export interface RequestOptions {
  /** Stops the request. */
  signal?: AbortSignal;
}

export interface ChatMessage {
  role: "system" | "developer" | "user" | "assistant";
  content: string | { type: "text"; text: string }[] | null;
}

export type ResponseFormat =
  | { type: "text" }
  | { type: "json_object" }
  | { type: "json_schema"; json_schema: { name?: string; strict?: boolean; schema: object | boolean } }
  /** Beyond OpenAI's: a text that a regular expression matches. */
  | { type: "regex"; regex: string }
  /** Beyond OpenAI's: whole words of one of these texts, as they stand there. */
  | { type: "spans"; texts: string[] };

export interface ChatRequest {
  /** The loaded generator if not told. */
  model?: string;
  messages: ChatMessage[];
  max_completion_tokens?: number;
  max_tokens?: number;
  /** 0 to 2; 1 if not told. */
  temperature?: number;
  top_p?: number;
  /** Beyond OpenAI's. */
  top_k?: number;
  /** Beyond OpenAI's. */
  min_p?: number;
  /** Beyond OpenAI's. */
  repetition_penalty?: number;
  /** -2 to 2. */
  presence_penalty?: number;
  /** -2 to 2. */
  frequency_penalty?: number;
  /** Token ids, and what is added to their logits: -100 to 100. */
  logit_bias?: Record<string, number>;
  /** The same seed gives the same answer on the same machine. */
  seed?: number;
  stop?: string | string[];
  logprobs?: boolean;
  /** 0 to 20. */
  top_logprobs?: number;
  response_format?: ResponseFormat;
  n?: 1;
  stream?: boolean;
  stream_options?: { include_usage?: boolean };
}

export interface TokenLogprob {
  token: string;
  logprob: number;
  bytes: number[];
}

export interface Logprobs {
  content: (TokenLogprob & { top_logprobs: TokenLogprob[] })[];
  refusal: null;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
}

export interface ChatCompletion {
  id: string;
  object: "chat.completion";
  created: number;
  model: string;
  system_fingerprint: string;
  choices: {
    index: 0;
    message: { role: "assistant"; content: string; refusal: null };
    logprobs: Logprobs | null;
    finish_reason: "stop" | "length";
  }[];
  usage: Usage;
}

export interface ChatCompletionChunk {
  id: string;
  object: "chat.completion.chunk";
  created: number;
  model: string;
  system_fingerprint: string;
  choices: {
    index: 0;
    delta: { role?: "assistant"; content?: string };
    logprobs: Logprobs | null;
    finish_reason: "stop" | "length" | null;
  }[];
  /** In the last chunk, where `stream_options.include_usage` asked for it. */
  usage?: Usage;
}

export interface EmbeddingsRequest {
  /** The loaded embedder if not told. */
  model?: string;
  input: string | string[];
  encoding_format?: "float" | "base64";
  dimensions?: number;
  /** Beyond OpenAI's: a question, where the model tells questions from passages. */
  input_type?: "passage" | "document" | "query";
}

export interface Embeddings {
  object: "list";
  data: { object: "embedding"; index: number; embedding: number[] | string }[];
  model: string;
  usage: { prompt_tokens: number; total_tokens: number };
}

export interface Model {
  id: string;
  object: "model";
  created: number;
  owned_by: "footnote";
  /** Beyond OpenAI's. */
  kind: "generator" | "embedder";
}

/** What the engine refuses, in the words of OpenAI's errors. */
export class FootnoteError extends Error {
  /** HTTP's status. */
  readonly status: number;
  readonly type: "invalid_request_error" | "server_error";
  readonly param: string | null;
  readonly code: string | null;
}

export class Footnote {
  private constructor(options: OpenOptions);
  /** Starts an engine, fetches its models where they are not here yet, and waits until it is ready. */
  static open(options?: OpenOptions): Promise<Footnote>;
  readonly chat: {
    readonly completions: {
      /** The pieces of an answer; whoever leaves the loop early stops it. */
      create(body: ChatRequest & { stream: true }, options?: RequestOptions): Promise<AsyncIterable<ChatCompletionChunk>>;
      create(body: ChatRequest & { stream?: false }, options?: RequestOptions): Promise<ChatCompletion>;
    };
  };
  readonly embeddings: {
    create(body: EmbeddingsRequest, options?: RequestOptions): Promise<Embeddings>;
  };
  readonly models: {
    /** The models that the engine has loaded. */
    list(options?: RequestOptions): Promise<{ object: "list"; data: Model[] }>;
  };
  /** Ends the engine. What was not answered fails. */
  close(): void;
}
