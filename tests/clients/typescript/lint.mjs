// Prints what Redocly's recommended rules find in a document, a line each, and fails if that is anything.
import { createConfig, lint } from "@redocly/openapi-core";

// Off: probes and metrics refuse nobody, so they have no 4xx. That all others document theirs is held by other tests.
const config = await createConfig({ extends: ["recommended"], rules: { "operation-4xx-response": "off" } });
const problems = await lint({ ref: process.argv[2], config });
for (const { ruleId, severity, message, location } of problems) {
  console.log(`${severity} ${ruleId} at ${location[0]?.pointer}: ${message}`);
}
process.exitCode = problems.length ? 1 : 0;
