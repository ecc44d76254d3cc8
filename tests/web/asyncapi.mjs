// Reads an AsyncAPI document from standard input, and prints what the parser has to say against it, as JSON.

import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
const said = diagnostics.map(({ code, severity, message, path }) => ({ code, severity, message, path: path.join(".") }));
const channels = document?.channels().all().map((channel) => channel.address()) ?? [];
const messages = document?.messages().all().map((message) => message.name()) ?? [];
process.stdout.write(JSON.stringify({ said, channels, messages }));
