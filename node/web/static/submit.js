// Submitting a job: files, terms, a dry run if wanted, and a review; one click then signs and posts.
import { Problem, get, post, remove, requestId } from "/static/api.js";
import { DryRunCard } from "/static/dry_run.js";
import { FilePicker } from "/static/files.js";
import { bytes, clean, count, moment, plural } from "/static/format.js";
import { How } from "/static/how.js";
import { html, useEffect, useRef, useState } from "/static/html.js";
import { Card, Choice, Empty, PageHead, Trouble, Waiting, self, useAsk, useTitle } from "/static/parts.js";
import { ReviewCard } from "/static/review.js";
import { go } from "/static/router.js";
import { TermsForm, firstValues, readValues } from "/static/terms.js";
import { upload } from "/static/upload.js";

const NEEDED = { user: ["program", "train", "test"], protocol: ["program", "data"] };
const FILE_FIELDS = new Set(["program", "train", "test", "data"]);
const SPLIT_FIELDS = new Set(["chunks", "test_chunks"]);
const FILES_MOST = 20_000;
const NAMES = { program: "the program", train: "the training data", test: "the testing data", data: "the data" };

export function SubmitPage({ part }) {
  useTitle("Submit");
  const [draft, setDraft] = useState(null);
  const [values, setValues] = useState({});
  const [problem, setProblem] = useState(null);
  const take = (found, typed) => {
    setDraft(found);
    setValues({ ...firstValues(found), ...typed });
  };
  useEffect(() => {
    setProblem(null);
    if (!part || draft?.draft_id === part) return undefined;
    let isWanted = true;
    get(`/drafts/${part}`).then((found) => isWanted && take(found, keptValues(found)), (error) => isWanted && setProblem(error));
    return () => (isWanted = false);
  }, [part]);
  const shown = part && draft?.draft_id === part ? draft : null;
  useEffect(() => {
    if (shown) keepValues(shown, values);
  }, [shown, values]);
  const read = (found) => {
    take(found, shown ? typedValues(shown, found, values) : {});
    go(`/submit/${found.draft_id}`, { replace: Boolean(part) });
  };
  if (self.roles.length && !self.roles.includes("user")) {
    return html`<${PageHead} title="Submit a job" /><${Empty}>This node is no end user, so it submits no jobs. Start it with the role “user” as well: <code>morphware run --role user</code></>`;
  }
  return html`<${PageHead} title="Submit a job"><p>Workers bid for training it, chance draws validators who test the model, and only a model that reaches your threshold is paid.</p></>
    <div class="stack">
      ${problem && html`<${Trouble} problem=${problem} />`}
      ${part && !shown && !problem ? html`<${Waiting} of=${{ problem }} what="The node looks the job up." />` : html`<${Job} key=${shown?.draft_id ?? "new"} draft=${shown} values=${values} onValues=${setValues} onDraft=${read} />`}
      ${!shown && html`<${WaitingDrafts} />`}
    </div>`;
}

/** Its files, and what is offered for them: of other files than those that are shown, nothing can be posted. */
function Job({ draft, values, onValues, onDraft }) {
  const usual = draft?.uploads.data ? "protocol" : "user";
  const [mode, setMode] = useState(usual);
  const [chosen, setChosen] = useState({});
  const isChanged = mode !== usual || Object.keys(chosen).length > 0;
  const keep = () => {
    setMode(usual);
    setChosen({});
  };
  return html`<${Files} draft=${draft} mode=${mode} onMode=${setMode} chosen=${chosen} onChosen=${setChosen} isChanged=${isChanged} onKeep=${keep} onDraft=${onDraft} />
    ${draft && !isChanged && html`<${Offering} draft=${draft} values=${values} onValues=${onValues} />`}`;
}

/** What is to be trained on what. */
function Files({ draft, mode, onMode, chosen, onChosen, isChanged, onKeep, onDraft }) {
  const [progress, setProgress] = useState(null);
  const [problem, setProblem] = useState(null);
  const stop = useRef(null);
  const needed = NEEDED[mode];
  const isKept = (field) => !chosen[field] && Boolean(draft?.uploads[field]);
  const missing = needed.filter((field) => !chosen[field] && !isKept(field));
  const crowd = crowdOf(needed, chosen);
  const choose = (field) => (files) => {
    onChosen((old) => ({ ...old, [field]: files }));
    setProblem(null);
  };
  const readJob = async () => {
    setProblem(null);
    setProgress(0);
    stop.current = new AbortController();
    try {
      const parts = Object.fromEntries(needed.filter((field) => chosen[field]).map((field) => [field, chosen[field].files]));
      const kept = draft ? { base: draft.draft_id, keep: needed.filter(isKept).join(",") } : {};
      const made = await upload(parts, kept, setProgress, stop.current.signal);
      if (draft) remove(`/drafts/${draft.draft_id}`).catch(() => {});
      onDraft(made);
    } catch (error) {
      setProblem(error);
      setProgress(null);
    }
  };
  const problemOf = (field) => {
    if (problem?.field === field) return problem.sentence;
    if (crowd?.field === field) return crowd.sentence;
    return chosen[field] ? "" : draft?.problems.find((each) => each.field === field)?.sentence ?? "";
  };
  const picker = (field, label, hint, rest = {}) => html`<${FilePicker} id=${field} label=${label} hint=${hint} problem=${problemOf(field)} chosen=${chosen[field]} known=${draft?.uploads[field]} onChoose=${choose(field)} ...${rest} />`;
  return html`<${Card} title="Program and data" id="files">
    <${How} isNeeded=${Boolean(draft?.problems.some((each) => each.field === "program"))} />
    <div class="fields pickers">
      ${picker("program", "Program", "A script (.py) or a notebook (.ipynb). A folder, if it is made of several files.", { accept: ".py,.ipynb,.toml,.txt" })}
      <div class="field"><p class="legend">Who chooses what tests the model</p>
        <${Choice} label="Who chooses what tests the model" options=${[["user", "I do"], ["protocol", "Chance does"]]} value=${mode} onChoose=${(value) => { onMode(value); setProblem(null); }} />
        <p class="hint">${mode === "user" ? "You give a testing set of your own. Its files named labels* never reach a model." : "The rows are cut into chunks, and after the award chance draws those that test: a bidder can trust that the test is fair."}</p></div>
      ${mode === "user" ? html`${picker("train", "Training data", "A folder, or files. The job reads it from $MORPHWARE_TRAIN_DIR.")}${picker("test", "Testing data", "The inputs, and the right answers in a file named labels*, like labels.csv.")}` : picker("data", "Data", "A folder of .npy or .csv files whose rows are the examples, one of them named labels*.")}
    </div>
    ${problem && !FILE_FIELDS.has(problem.field) && html`<${Trouble} problem=${problem} />`}
    ${progress !== null ? html`<div role="status"><p class="waiting">${progress < 1 ? `Is handed to your node: ${Math.floor(progress * 100)} %` : "Your node reads the job."}</p><progress class="progress wide" aria-label="Upload" max="1" value=${progress}></progress><button type="button" onClick=${() => stop.current.abort()}>Stop</button></div>`
      : (isChanged || !draft) && html`<div class="acts"><button type="button" class="primary" disabled=${missing.length > 0 || crowd !== null} onClick=${readJob}>Read the job</button>
        ${draft && html`<button type="button" onClick=${() => { onKeep(); setProblem(null); }}>Leave all files as they were</button>`}
        <p class="hint" role="status">${missing.length ? `Still missing: ${missing.map((field) => NAMES[field]).join(", ")}.` : `It goes to your own node only; nothing is sent to others yet.${draft ? " What you filled in stays." : ""}`}</p></div>`}
    ${draft && !isChanged && html`<${Found} draft=${draft} />`}
  </>`;
}

/** What the node read in the job. */
function Found({ draft }) {
  const others = draft.problems.filter((each) => !FILE_FIELDS.has(each.field));
  const list = (items) => items.map(clean).join(", ");
  const facts = [
    draft.entry && `It is the ${draft.kind} ${clean(draft.entry)}.`,
    draft.functions.length > 0 && `It defines ${list(draft.functions)}.`,
    draft.logged.length > 0 && `It logs ${list(draft.logged)}.`,
    draft.requirements.length > 0 && `It needs ${list(draft.requirements)}.`,
  ].filter(Boolean);
  return html`${facts.length > 0 && html`<p class="found-in">${facts.join(" ")}</p>`}${others.map((each) => html`<${Trouble} key=${each.field} problem=${{ sentence: each.sentence }} />`)}`;
}

/** What is wrong with so many files, beside the field with the most of them. The node would break such an upload off. */
function crowdOf(fields, chosen) {
  const sizes = fields.map((field) => ({ field, count: chosen[field]?.files.length ?? 0 }));
  const sum = sizes.reduce((all, { count: some }) => all + some, 0);
  if (sum <= FILES_MOST) return null;
  const [{ field }] = sizes.sort((a, b) => b.count - a.count);
  return { field, sentence: `These are ${count(sum)} files in all, and a job takes ${count(FILES_MOST)}: put them into fewer, larger ones.` };
}

/** What was typed outlives a reload, in this tab. */
function keepValues(draft, values) {
  try {
    sessionStorage.setItem(`terms ${draft.draft_id}`, JSON.stringify(values));
  } catch {
    // A browser that keeps nothing: then it is typed again.
  }
}

function keptValues(draft) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(`terms ${draft.draft_id}`)) ?? {};
    return Object.fromEntries(Object.keys(firstValues(draft)).filter((field) => typeof kept[field] === "string").map((field) => [field, kept[field]]));
  } catch {
    return {};
  }
}

/** What a person typed for a job, for the next reading of it: what the job itself now says counts for the rest. */
function typedValues(draft, next, values) {
  const first = firstValues(draft);
  const fits = (field) => !SPLIT_FIELDS.has(field) || next.uploads.data;
  return Object.fromEntries(Object.entries(values).filter(([field, value]) => value !== first[field] && fits(field)));
}

/** The terms, the dry run, and the review. */
function Offering({ draft, values, onValues }) {
  const [problems, setProblems] = useState(() => Object.fromEntries(draft.problems.filter((each) => !FILE_FIELDS.has(each.field)).map((each) => [each.field, each.sentence])));
  const [review, setReview] = useState(null);
  const [hasFailed, setFailed] = useState(false);
  const [problem, setProblem] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const top = useRef(null);
  const isBroken = draft.problems.some((each) => FILE_FIELDS.has(each.field));
  const change = (changed) => {
    onValues(changed);
    setProblem(null);
    setProblems((old) => Object.fromEntries(Object.entries(old).filter(([field]) => changed[field] === values[field])));
  };
  const ask = async (deed) => {
    setBusy(true);
    setProblem(null);
    try {
      await deed();
    } catch (error) {
      if (error.field && error.field in values) {
        setProblems({ [error.field]: error.sentence });
        setReview(null);
      } else setProblem(error);
    }
    setBusy(false);
  };
  const look = (event) => {
    event.preventDefault();
    const [terms, wrong] = readValues(values);
    setProblems(wrong);
    if (Object.keys(wrong).length) return focusFirst(wrong);
    return ask(async () => {
      const found = await post(`/drafts/${draft.draft_id}/review`, terms);
      const beside = Object.fromEntries(found.problems.filter((each) => each.field in values).map((each) => [each.field, each.sentence]));
      const others = found.problems.filter((each) => !(each.field in values)).map((each) => each.sentence).join(" ");
      if (Object.keys(beside).length || found.escrow_wei === null) {
        setProblems(beside);
        if (others) setProblem(new Problem("bad_input", others));
        focusFirst(beside);
        return;
      }
      // One name for one review: a click that is sent twice posts one job.
      setReview({ found, terms, request_id: requestId() });
      top.current?.scrollIntoView({ block: "start" });
    });
  };
  const hand = () => ask(async () => {
    const { job_id } = await post(`/drafts/${draft.draft_id}/post`, { ...review.terms, request_id: review.request_id });
    go(`/jobs/${job_id}`);
  });
  if (isBroken) return html`<p class="empty">Mend what is said beside the files, and let the job be read again.</p>`;
  return html`<div class="stack" ref=${top}>
    ${review ? html`<${ReviewCard} review=${review.found} hasFailed=${hasFailed} isPosting=${isBusy} problem=${problem} onPost=${hand} onBack=${() => setReview(null)} />` : html`
      <${DryRunCard} draftId=${draft.draft_id} metric=${values.metric} onResult=${(result) => setFailed(!result.is_working)} onEstimate=${(seconds) => change({ ...values, estimated_s: String(Number((seconds / 60).toFixed(2))) })} />
      <form noValidate onSubmit=${look}><${Card} title="What you offer" id="terms">
        <${TermsForm} draft=${draft} values=${values} problems=${problems} onChange=${change} />
        ${problem && html`<${Trouble} problem=${problem} />`}
        <div class="acts end"><button type="submit" class="primary" disabled=${isBusy}>${isBusy ? "Is being looked at …" : "Review"}</button><p class="hint">Nothing is locked before you have seen exactly what, and clicked once more.</p></div>
      </></form>`}
  </div>`;
}

function focusFirst(problems) {
  setTimeout(() => document.getElementById(Object.keys(problems)[0])?.focus(), 50);
}

/** Drafts of earlier visits. */
function WaitingDrafts() {
  const drafts = useAsk("/drafts");
  if (!drafts.answer || drafts.answer.drafts.length === 0) return drafts.problem && !drafts.problem.isMissingPart ? html`<${Waiting} of=${drafts} again=${drafts.reload} />` : null;
  const drop = async (draft) => {
    await remove(`/drafts/${draft.draft_id}`).catch(() => {});
    drafts.reload();
  };
  return html`<${Card} title="Drafts that wait" id="drafts"><ul class="parts">${drafts.answer.drafts.map((draft) => html`<li key=${draft.draft_id}>
    <div><a href=${`/submit/${draft.draft_id}`}>${clean(draft.suggested?.name || draft.entry || "A draft")}</a><p class="hint">${moment(draft.created_s)} · ${plural(Object.values(draft.uploads).reduce((sum, each) => sum + each.files, 0), "file")}, ${bytes(Object.values(draft.uploads).reduce((sum, each) => sum + each.size_bytes, 0))}</p></div>
    <button type="button" class="small" onClick=${() => drop(draft)}>Throw away<span class="unseen"> ${clean(draft.suggested?.name ?? "the draft")}</span></button></li>`)}</ul></>`;
}
