// The main journeys through the API, with nothing but the generated types and openapi-fetch: node journey.js ADDRESS KEY
import createClient, { type Client } from "openapi-fetch";

import type { components, paths } from "./jobsense.js";

declare const process: { argv: string[] };

type Schemas = components["schemas"];
type Answer<T> = { data?: T; error?: unknown; response: Response };

const [address = "", key = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: address, headers: { "X-API-Key": key } });

function equal(found: unknown, expected: unknown, what: string): void {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`${what}: ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
  }
}

/** The good answer of a call, or the problem that it was refused with as an exception. */
function good<T>(answer: Answer<T>, status: number): T {
  equal([answer.response.status, answer.error], [status, undefined], answer.response.url);
  return answer.data as T;
}

/** The problem of a call that had to be refused. */
function refused(answer: { error?: Schemas["Problem"]; response: Response }, status: number, code: string) {
  equal([answer.response.status, answer.error?.code], [status, code], answer.response.url);
  if (answer.error === undefined) throw new Error("unreachable");
  return answer.error;
}

function posting(number: number): Schemas["JobInput"] {
  return {
    title: number % 2 ? `Electrician ${number}` : `Children's nurse ${number}`,
    company: number % 2 ? "Jua Power" : "Lakeside Hospital",
    source: "linkedin",
    external_id: `n-${number}`,
    description: number % 2 ? "Repair solar panels on roofs." : "Look after sick children on the ward.",
    location: "Kisumu",
    posted_at: "2026-11-20T08:00:00+03:00",
  };
}

async function store(): Promise<number> {
  const first = await client.POST("/api/v1/jobs", { body: posting(0) });
  const made = good(first, 201);
  equal(first.response.headers.get("Location"), `/api/v1/jobs/${made.id}`, "Location");
  refused(await client.POST("/api/v1/jobs", { body: posting(0) }), 409, "job_exists");
  const wrong = refused(await client.POST("/api/v1/jobs", { body: { ...posting(99), title: "x" } }), 422, "invalid");
  equal(wrong.errors?.map((error) => error.pointer), ["/title"], "errors");
  const rows = Array.from({ length: 25 }, (_, number) => posting(number));
  const batch = good(await client.POST("/api/v1/jobs/batch", { body: rows }), 200);
  if (!("results" in batch)) throw new Error("NDJSON is answered to NDJSON alone");
  equal(batch.results.map((result) => result.status), ["unchanged", ...Array(24).fill("created")], "batch");
  return made.id;
}

async function list(): Promise<void> {
  const ids = new Set<number>();
  let cursor: string | null = null;
  do {
    const query: { limit: number; cursor?: string } = cursor === null ? { limit: 10 } : { limit: 10, cursor };
    const page: Schemas["Page"] = good(await client.GET("/api/v1/jobs", { params: { query } }), 200);
    page.items.forEach((job) => ids.add(job.id));
    cursor = page.next_cursor;
  } while (cursor !== null);
  equal(ids.size, 25, "postings listed");
}

async function embedded(job_id: number): Promise<string> {
  for (;;) {
    const answer = await client.GET("/api/v1/jobs/{job_id}", { params: { path: { job_id } } });
    if (good(answer, 200).embedding.state === "done") return answer.response.headers.get("ETag") ?? "";
  }
}

async function change(job_id: number): Promise<void> {
  const path = { job_id };
  const etag = await embedded(job_id);
  const known = await client.GET("/api/v1/jobs/{job_id}", { params: { path, header: { "If-None-Match": etag } } });
  equal(known.response.status, 304, "If-None-Match");
  const header = { "If-Match": etag };
  const body = { salary_min: 500, currency: "USD", remote: null };
  const changed = good(await client.PATCH("/api/v1/jobs/{job_id}", { params: { path, header }, body }), 200);
  equal([changed.version, changed.salary_min, changed.remote], [2, 500, null], "changed");
  refused(await client.PATCH("/api/v1/jobs/{job_id}", { params: { path, header }, body }), 412, "precondition_failed");
}

async function search(): Promise<void> {
  const modes: Schemas["SearchRequest"]["mode"][] = ["hybrid", "semantic", "lexical"];
  for (const mode of modes) {
    const asked = {
      text: "look after sick children",
      top_k: 4,
      mode: mode ?? "hybrid",
      filters: { location: "kisumu", include_unpriced: false },
      facets: ["company" as const],
      explain: true,
      highlight: true,
      on_degraded: "fail" as const,
      min_score: mode === "lexical" ? null : 0.1,
    };
    const page = good(await client.POST("/api/v1/search", { body: asked }), 200);
    equal([page.mode.served, page.degraded, page.results.length], [mode, null, 4], "mode");
    equal(page.results.map((hit) => hit.job.company), Array(4).fill("Lakeside Hospital"), "found");
    equal(page.facets["company"]?.[0]?.value, "Lakeside Hospital", "facets");
    const next = good(await client.POST("/api/v1/search", { body: { ...asked, cursor: page.next_cursor } }), 200);
    equal(next.results.map((hit) => hit.rank), [5, 6, 7, 8], "next page");
  }
  const query = { q: "solar panels", top_k: 2, source: ["linkedin"], posted_after: "2026-11-01T00:00:00Z" };
  const byUrl = good(await client.GET("/api/v1/search", { params: { query } }), 200);
  equal(byUrl.results.map((hit) => hit.job.company), ["Jua Power", "Jua Power"], "found by URL");
}

async function more(job_id: number): Promise<void> {
  const similar = await client.GET("/api/v1/jobs/{job_id}/similar", { params: { path: { job_id }, query: { top_k: 3 } } });
  equal(good(similar, 200).results.some((hit) => hit.job.id === job_id), false, "similar");
  const match = { text: "I repair solar panels on roofs, and I have done so for years.", top_k: 3, explain: false, on_degraded: "allow" as const };
  equal(good(await client.POST("/api/v1/match", { body: match as Schemas["MatchRequest"] }), 200).results[0]?.job.company, "Jua Power", "match");
  const searches = [{ text: "children" }, { text: "children", cursor: "rubbish" }] as Schemas["SearchRequest"][];
  const batch = good(await client.POST("/api/v1/search/batch", { body: { searches } }), 200);
  equal(batch.results.map((one) => ("problem" in one ? one.problem.code : one.total.value > 0)), [true, "invalid"], "batch");
  equal(good(await client.GET("/api/v1/stats"), 200).jobs, 25, "stats");
  equal(good(await client.GET("/api/v1/rates"), 200).base, "USD", "rates");
  equal(good(await client.GET("/health/live"), 200).status, "live", "liveness");
}

async function end(job_id: number): Promise<void> {
  const params = { path: { job_id } };
  equal((await client.DELETE("/api/v1/jobs/{job_id}", { params })).response.status, 204, "deleted");
  refused(await client.GET("/api/v1/jobs/{job_id}", { params }), 404, "job_not_found");
  const stranger: Client<paths> = createClient<paths>({ baseUrl: address, headers: { "X-API-Key": `${key}x` } });
  refused(await stranger.GET("/api/v1/stats"), 401, "unauthenticated");
}

const job_id = await store();
await list();
await change(job_id);
await search();
await more(job_id);
await end(job_id);
console.log("the journey is made");
