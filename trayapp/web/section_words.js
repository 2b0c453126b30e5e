// The texts of the sections and dialogs, which are loaded with them: those of words.js, and their own.

import * as first from "./words.js";

const { counted, names } = first;

export const WORDS = {
  ...first.WORDS,
  // set-up
  choose: "Choose",
  connect: "Connect",
  finish: "Finish",
  lookingForServers: "Looking for your servers…",
  chooseTitle: "Choose your servers",
  chooseText: "Any MCP server or API that uses OAuth. Amberlight keeps it signed in through sleep, bad networks and restarts.",
  chosenServers: "Servers to add",
  chooseMore: "Add a server",
  chooseMoreHint: "Search for Notion, Linear or Sentry, for example, or enter an address.",
  notInCatalogEnter: "Not in the catalog. Enter its address.",
  enterClientId: "Enter client ID…",
  adding: "Adding…",
  skipStep: "Skip this step",
  signInTitle: "Sign in to your servers",
  signInText: "Each sign-in page opens in your browser, one after the other. Come back here when you're done.",
  allSignedIn: "You're signed in to all your workloads.",
  noneToSignIn: "No servers yet. Choose some first.",
  connectTitle: "Connect your clients",
  connectText: "These apps then use your workloads through Amberlight. A backup of each changed file is kept.",
  replacesOwn: "Entries that sign in separately are replaced. Disconnect restores them.",
  allClientsConnected: "All installed clients are connected.",
  noneInstalledHere: "No known clients are installed. You can connect yours later, under Clients.",
  finishChecking: "Checking your servers…",
  finishText: "Amberlight asks each of them for its tools, as a client does.",
  finishGood: "You're all set",
  finishGoodText: "Your servers answer through Amberlight. Its icon shows how they are.",
  finishBadText: "Everything else is set up. Fix this now, or later on the dashboard.",
  finishNothing: "Nothing is set up yet",
  finishNothingText: "Add a server first. You can come back at any time.",
  openDashboard: "Open dashboard",
  // one workload
  login: "Login",
  addressText: "Clients on this computer use this address. Only they need the key.",
  itsState: "Status",
  since: "Since",
  hosts: "Git servers",
  tokenExpires: "Token expires",
  nextAttempt: "Next attempt",
  loginEnds: "Renewal",
  showKey: "Show key",
  hideKey: "Hide key",
  noClients: "No clients connected yet.",
  // clients
  connectEach: "All workloads, one server each",
  connectTogether: "All workloads, one server with all tools",
  lookingForClients: "Looking for clients…",
  noneInstalled: "No known clients are installed. Copy the settings for yours.",
  anyClient: "Any other client",
  notInstalled: "Not installed",
  installed: "Installed",
  pasteJson: "Name, type, URL and header, as JSON.",
  allTools: "One server with all tools.",
  // dialogs
  saveDo: "Save",
  enterName: "Enter a name.",
  badName: "Use lowercase letters, numbers, - and _. Start with a letter or number.",
  enterUrl: "Enter an address that starts with https://",
  notInCatalog: "Not in the catalog. Enter its name and address below.",
  // take over
  takeOverDo: "Take over",
  readingPlan: "Checking what would change…",
  takingOver: "Taking over…",
  addItFirst: "To do that, choose Add workload… and enter this address. Then take it over.",
  whatChanges: "What changes",
  repointed: "These clients will point to Amberlight. A backup of each file is kept.",
  signInOpens: "The sign-in page opens in your browser. Clients have access again once you're signed in.",
  giveBackDo: "Give back",
  givingBack: "Giving back…",
  // activity
  activityText: "Which client used which workload. Kept on this computer for 7 days; no arguments and no content.",
  activityOff: "Activity isn't recorded. Turn it on in",
  noActivity: "No requests yet.",
  allWorkloads: "All workloads",
  workload: "Workload",
  when: "When",
  request: "Request",
  result: "Result",
  duration: "Duration",
  unknownClient: "Unknown client",
  byAmberlight: "from Amberlight",
  leftEarly: "Client left",
  showMore: "Show more",
  deleteActivity: "Clear",
  // diagnostics
  checks: "Checks",
  checking: "Checking…",
  fix: "Fix",
  fixing: "Fixing…",
  chooseFix: "Choose Fix.",
  allWell: "No problems found.",
  ok: "OK",
  warning: "Warning",
  problem: "Problem",
  log: "Log",
  level: "Level",
  searchLog: "Search the log",
  emptyLog: "No entries of this level.",
  reload: "Reload",
  report: "Report",
  copyReport: "Copy report",
  collecting: "Collecting…",
  reportCopied: "Copied. It contains no tokens or keys.",
  // settings
  useDefault: "Use default",
  saving: "Saving…",
  saved: "Saved",
  // what asks first
  removeText: "Its login is revoked and deleted, and the workload is removed from the configuration. Clients lose access.",
  removeDo: "Remove",
  signOutText: "Its login is revoked and deleted. The workload stays in the list.",
  signOutDo: "Sign out",
};

// What a client has of a workload that no longer fits.
export const STALE = { old_port: "Uses an old port", old_key: "Uses an old key" };

// The states of another program's workload; any other word is shown as the program writes it.
export const STATES = {
  running: first.LABELS.connected,
  auth_retrying: first.LABELS.reconnecting,
  unauthenticated: first.LABELS.signIn,
  starting: first.LABELS.starting,
  error: "Error",
  unhealthy: "Unhealthy",
  stopping: "Stopping",
  stopped: "Stopped",
  removing: "Being removed",
  policy_stopped: "Stopped by policy",
};

// Groups of settings.
export const GROUPS = {
  general: "General",
  notifications: "Notifications",
  network: "Network",
  server: "Server",
  access: "Access",
  diagnostics: "Log and activity",
  timing: "Timing",
};

// What a setting and its choices are called, where their names in config.toml don't say it.
export const TITLES = {
  url: first.WORDS.address,
  issuer: first.WORDS.issuer,
  muted: "Mute notifications",
  toolhive_watch: "Watch ToolHive",
  toolhive_heal: "Restart in ToolHive",
  require_key: "Require the local key",
  redirect_port: "Redirect port",
  client_metadata_url: "Client metadata document",
  client_key_file: "Client key file",
  dpop: "Bind tokens to a key (DPoP)",
  mcp: "Keep MCP clients connected",
};
export const CHOICES = {
  sign_in: first.LABELS.signIn,
  reconnecting: "A client is waiting",
  ending: "A login ends soon",
  permission: "A client needs more",
};

// Where a setting's value is from.
export const SOURCES = {
  site: "Set for this computer.",
  settings: "From the app's settings.",
  environment: "Set by an environment variable.",
  system: "Set in the system.",
};

// Levels of the log: entries of this one and above.
export const LEVELS = { debug: "All", info: "Information", warning: "Warnings", error: "Errors" };

export const say = {
  ...first.say,
  waitIn: (time) => `in ${time}`,
  // set-up
  step: (n, title) => `Step ${n} of 4: ${title}`,
  foundIn: (at, places) => `${at} · in ${names(places)}`,
  chosen: (title) => `Chose ${title}.`,
  addChosen: (n) => (n === 1 ? "Add and sign in" : `Add ${n} and sign in`),
  signedInTo: (name) => `Signed in to ${name}.`,
  connectChosen: (n) => `Connect ${counted(n, "client", "clients")}`,
  asking: (name) => `Asking ${name}…`,
  // one workload
  inUse: (time, ago) => `${time}, ${ago}`,
  history: (name, span) => `Last ${span} of ${name}`,
  used: (n, ago) => `${counted(n, "request", "requests")}, ${ago}`,
  keeps: (owner) => `${owner} keeps it signed in.`,
  reachedThrough: (owner) => `Clients reach it here, through ${owner}.`,
  // clients
  allConnected: (n) => (n > 1 ? `All ${n} connected` : "Connected"),
  clientConnected: (of) => `Connected: ${names(of)}`,
  stale: (words, of) => `${words}: ${names(of)}`,
  hasAll: () => "Has the server with all tools",
  clientNothing: () => "Not connected",
  nameTaken: (entry) => `Has another server called ${entry}`,
  separately: (name, entry) => `Signs in to ${name} separately${entry === name ? "" : ` (entry ${entry})`}`,
  connect: () => WORDS.connect,
  connectRest: () => "Connect the rest",
  reconnect: () => "Reconnect",
  replace: () => "Replace",
  disconnect: () => "Disconnect",
  connecting: () => "Connecting…",
  disconnecting: () => "Disconnecting…",
  backup: () => "a backup is kept",
  pasteInto: (file, restart) => `Paste into ${file}. ${restart}`,
  // dialogs
  removeTitle: (name) => `Remove ${name}?`,
  signOutTitle: (name) => `Sign out of ${name}?`,
  renameTitle: (name) => `Rename ${name}`,
  editTitle: (name) => `Edit ${name}`,
  takeOverTitle: (name, owner) => `Take over ${name} from ${owner}?`,
  keptHere: (owner) => `From then on, Amberlight keeps it signed in instead of ${owner}.`,
  stops: (name, owner) => `${owner} stops its workload ${name} and keeps its settings.`,
  takesPlace: (name) => `${name} already uses this address and takes its place.`,
  secretFirst: (name, owner) => `Its client secret stays in ${owner}. Store it here with \`amberlight secret set ${name}\`, then sign in.`,
  entry: (entry) => `(entry ${entry})`,
  goBack: (name, owner) => `To undo this later, choose ${say.giveBack(owner)} on its page, or run: \`amberlight take-over --undo ${name}\``,
  giveBack: (owner) => `Give back to ${owner}…`,
  giveBackTitle: (name, owner) => `Give ${name} back to ${owner}?`,
  givenBack: (name, owner) => [
    "Client entries are restored, except those that you've changed or removed since.",
    `${name} is removed here and its login is revoked, unless it was configured here before the take-over.`,
    `${owner} runs its own workload again, if it ran before. If its login there has ended, ${owner} opens its sign-in page.`,
  ],
  needsClientId: (where) => `Needs a client ID of your own. Create one ${where} and enter it below.`,
  needsId: (about) => `${about} · needs a client ID`,
  moreFrom: (vendor) => `More from ${vendor}`,
  showing: (n, of) => `Showing ${n} of ${of} servers.`,
  // settings, activity, diagnostics
  keptIn: (file) => ["Kept in ", file, ". Comments in the file stay."],
  through: (via) => `through ${via === "mcp" ? "/mcp" : via}`,
  notRecorded: (n) => `${counted(n, "request wasn't", "requests weren't")} recorded: too many came at the same time.`,
  checksFailed: (n) => counted(n, "check needs", "checks need") + " attention.",
};
