/** One scenario under one policy, event by event. The same options give the same figures. */
import { REPORT_INTERVAL_SECONDS } from '../../core/fleet.ts';
import { SRV_TTL_SECONDS } from '../../core/slot-plan.ts';
import { chooseMultivalue } from '../dns-server/zone.ts';
import { EventHeap } from './event-heap.ts';
import { Balance, type Figures, type Series } from './figures.ts';
import { type Fleet, planFleet, type SimulatedSlot } from './fleet.ts';
import { HealthChecks } from './health-checks.ts';
import type { Policy } from './policies.ts';
import { randomOf } from './random.ts';
import { type Action, PERSON_ACTS_AFTER_MINUTES, type Scenario, WARM_UP_MINUTES } from './scenarios.ts';
import { type Failure, REFUSED, SILENCE, Slots, SWALLOWED, TAKEN } from './slots.ts';
import { SRC_PATIENCE_SECONDS, Srcs, type Target } from './srcs.ts';
import { STEERING_INTERVAL_SECONDS, Steering } from './steering.ts';
import { callSeconds, loadAt, nextCallAt, remainingCallSeconds } from './traffic.ts';

/** "Changes generally propagate to all Route 53 name servers within 60 seconds" (Developer Guide). */
const IN_SYNC_SECONDS = { from: 10, to: 60 };
/** A run on schedule is not on the second. */
const RUN_LATE_SECONDS = 2;
const SRCS_PER_NAME = 6;

export interface SimulationOptions {
  scenario: Scenario;
  policy: Policy;
  seed: number;
  /** A multiple of 4. */
  slots: number;
  /** Calls at the same time when the load is `REFERENCE_LOAD`. */
  calls: number;
}

/** Share of the first tier's capacity that `calls` of the options stands for. */
export const REFERENCE_LOAD = 0.7;

const FAILURES = { kill: 'dead', hang: 'hangs', stall: 'stalls' } as const satisfies Record<string, Failure>;

export interface SimulationResult {
  figures: Figures;
  series: Series[];
}

/** Kinds of events; what subject and detail mean is said beside each. */
const CALL_ENDS = 0; // slot, life of the slot
const REPORTS = 1; // slots whose index has this remainder by the interval
const STEERS = 2; // region; 1 if it is the regular run, which is followed by another
const HEALTH_IN_DNS = 3; // slot, 1 for healthy
const WEIGHT_IN_DNS = 4; // slot, weight
const ACTS = 5; // index of the action
const SAMPLE = 6;
const PERSON_ACTS = 7; // slot
const PROBE = 8; // slot, checker
const PROBE_RESULT = 9; // slot, twice the checker, plus 1 for healthy

export function simulate(options: SimulationOptions): SimulationResult {
  const { slots, calls, scenario } = options;
  return new Simulation(planFleet(slots, calls / REFERENCE_LOAD, scenario.sizeOf), options).run();
}

class Simulation {
  readonly #scenario: Scenario;
  readonly #policy: Policy;
  readonly #fleet: Fleet;
  readonly #slots: Slots;
  readonly #srcs: Srcs;
  readonly #steering: Steering[];
  readonly #regionOf: number[];
  readonly #events = new EventHeap();
  readonly #random: Record<'calls' | 'choices' | 'dns' | 'delays', () => number>;
  #now = 0;

  // DNS.
  readonly #weights: Int32Array;
  readonly #healthChecks: HealthChecks;
  readonly #removed: Uint8Array;
  readonly #slotsOfName: number[][];
  #route53Answers = true;
  #reportsArrive = true;

  // Figures.
  readonly #measureFrom = WARM_UP_MINUTES * 60;
  readonly #balance = new Balance();
  readonly #changes: Int32Array;
  readonly #silentSince: Float64Array;
  #secondsToLastInvite: number | null = null;
  readonly #series: Series[];
  readonly #count = {
    calls: 0,
    refusedInvites: 0,
    unansweredInvites: 0,
    failedOverCalls: 0,
    lostCalls: 0,
    cutCalls: 0,
  };
  #highestUtilisation = 0;
  readonly #seed: number;

  constructor(fleet: Fleet, { scenario, policy, seed }: SimulationOptions) {
    this.#scenario = scenario;
    this.#policy = policy;
    this.#fleet = fleet;
    this.#seed = seed;
    const { slots } = fleet;
    // Calls have a generator of their own, so that every policy gets the same.
    this.#random = {
      calls: randomOf(seed, 1),
      choices: randomOf(seed, 2),
      dns: randomOf(seed, 3),
      delays: randomOf(seed, 4),
    };
    this.#slots = new Slots(
      slots.map(({ plan }) => plan.callCapacity),
      policy.full,
    );
    this.#weights = Int32Array.from(slots, policy.initialWeight);
    this.#removed = new Uint8Array(slots.length);
    const events = this.#events;
    this.#healthChecks = new HealthChecks({
      checks: slots.map(({ plan }) => plan.healthCheck),
      isHealthy: (slot) => this.#slots.isHealthy(slot),
      outcome: (slot) => this.#slots.probeOutcome(slot),
      onProbe: (at, slot, checker) => events.push(at, PROBE, slot, checker),
      onResult: (at, slot, checkerAndHealth) => events.push(at, PROBE_RESULT, slot, checkerAndHealth),
      onVerdict: (at, slot, healthy) => events.push(at, HEALTH_IN_DNS, slot, healthy),
      random: this.#random.delays,
    });
    this.#slotsOfName = fleet.names.map((_, name) =>
      slots.flatMap((slot, index) => (slot.name === name ? [index] : [])),
    );
    this.#regionOf = slots.map(({ plan }) => fleet.regions.indexOf(plan.region));
    this.#steering = fleet.regions.map(
      (region) =>
        new Steering(
          slots
            .filter(({ plan }) => plan.region === region)
            .map((slot) => ({ slot: slot.plan.name, weight: policy.initialWeight(slot) })),
          policy.terms,
        ),
    );
    this.#srcs = new Srcs({
      count: fleet.names.length * SRCS_PER_NAME,
      cacheSeconds: scenario.cacheSeconds ?? SRV_TTL_SECONDS,
      ask: (src) => this.#answer(Math.floor(src / SRCS_PER_NAME)),
      random: this.#random.choices,
    });
    this.#changes = new Int32Array(slots.length);
    this.#silentSince = new Float64Array(slots.length);
    this.#series = (this.#slotsOfName[0] ?? []).map((index) => ({
      slot: this.#plan(index).name,
      minutes: [],
      utilisation: [],
      weightShare: [],
    }));
  }

  run(): SimulationResult {
    const { load, endMinute, actions } = this.#scenario;
    const endAt = endMinute * 60;
    const events = this.#events;
    for (let bucket = 0; bucket < REPORT_INTERVAL_SECONDS; bucket++) events.push(bucket, REPORTS, bucket, 0);
    for (const region of this.#fleet.regions.keys())
      events.push(this.#random.delays() * STEERING_INTERVAL_SECONDS, STEERS, region, 1);
    for (const [index, { minute }] of actions.entries()) events.push(minute * 60, ACTS, index, 0);
    events.push(60, SAMPLE, 0, 0);
    this.#fill(loadAt(load, 0) * this.#fleet.firstTierCapacity);

    const { calls } = this.#random;
    let nextCall = nextCallAt(0, load, this.#fleet.firstTierCapacity, calls);
    for (;;) {
      const at = Math.min(nextCall, events.nextAtSeconds);
      if (at > endAt) break;
      this.#now = at;
      if (at === nextCall) {
        this.#place(callSeconds(calls));
        nextCall = nextCallAt(at, load, this.#fleet.firstTierCapacity, calls);
      } else {
        events.pop();
        this.#handle(events.kind, events.subject, events.detail);
      }
    }
    return { figures: this.#figures(endAt), series: this.#series };
  }

  /** The calls that are running when the run begins. */
  #fill(callCount: number): void {
    for (let call = 0; call < callCount; call++) this.#place(remainingCallSeconds(this.#random.calls));
  }

  #handle(kind: number, subject: number, detail: number): void {
    switch (kind) {
      case CALL_ENDS:
        this.#slots.end(subject, detail);
        if (this.#slots.noticeFull(subject)) this.#healthChanged(subject);
        break;
      case REPORTS:
        this.#report(subject);
        break;
      case STEERS:
        this.#steer(subject, detail === 1);
        break;
      case HEALTH_IN_DNS:
        this.#healthChecks.setInDns(subject, detail);
        break;
      case PROBE:
        this.#healthChecks.probe(subject, detail, this.#now);
        break;
      case PROBE_RESULT:
        this.#healthChecks.result(subject, detail, this.#now);
        break;
      case WEIGHT_IN_DNS:
        this.#weights[subject] = detail;
        break;
      case ACTS:
        this.#act(this.#scenario.actions[subject] as Action);
        break;
      case PERSON_ACTS:
        if (!this.#slots.serves(subject)) this.#removed[subject] = 1;
        break;
      case SAMPLE:
        this.#sample();
        break;
    }
  }

  /** A call, at one of the SRCs, each as busy as the others. */
  #place(seconds: number): void {
    const { calls } = this.#random;
    const srcs = this.#srcs;
    const counts = this.#now >= this.#measureFrom ? this.#count : undefined;
    const src = Math.floor(calls() * this.#fleet.names.length * SRCS_PER_NAME);
    srcs.begin(src, this.#now);
    if (counts) counts.calls++;
    let waited = 0;
    for (let attempt = 0; ; attempt++) {
      const slot = srcs.next(attempt);
      if (slot === -1) {
        if (counts) counts.lostCalls++;
        return;
      }
      const outcome = this.#slots.invite(slot);
      if (outcome === TAKEN) {
        if (this.#slots.noticeFull(slot)) this.#healthChanged(slot);
        this.#events.push(this.#now + waited + seconds, CALL_ENDS, slot, this.#slots.life[slot] as number);
        if (counts && attempt > 0) counts.failedOverCalls++;
        return;
      }
      if (outcome === REFUSED && counts) counts.refusedInvites++;
      if (outcome === SILENCE || outcome === SWALLOWED)
        this.#secondsToLastInvite = Math.max(
          this.#secondsToLastInvite ?? 0,
          this.#now + waited - (this.#silentSince[slot] as number),
        );
      if (outcome === SWALLOWED) {
        if (counts) counts.lostCalls++;
        return;
      }
      if (outcome === SILENCE) {
        waited += SRC_PATIENCE_SECONDS;
        if (counts) counts.unansweredInvites++;
      }
    }
  }

  #answer(name: number): Target[] {
    const records = (this.#slotsOfName[name] as number[]).filter((slot) => this.#removed[slot] === 0);
    // Without health checks it is one record set with all values.
    const isHealthy = (slot: number) => !this.#policy.healthChecks || this.#healthChecks.isHealthyInDns(slot);
    return chooseMultivalue(records, isHealthy, this.#random.dns).map((slot) => ({
      slot,
      priority: this.#priority(slot),
      weight: this.#weights[slot] as number,
    }));
  }

  #healthChanged(slot: number): void {
    if (this.#policy.healthChecks) this.#healthChecks.changed(slot, this.#now);
  }

  #report(bucket: number): void {
    for (let slot = bucket; slot < this.#slots.count; slot += REPORT_INTERVAL_SECONDS) {
      if (this.#slots.isSilent(slot) || !this.#reportsArrive) continue;
      const region = this.#regionOf[slot] as number;
      const stateChanged = (this.#steering[region] as Steering).report(this.#plan(slot).name, {
        state: this.#slots.state(slot),
        activeRecordings: this.#slots.active[slot] as number,
        callCapacity: this.#slots.capacity[slot] as number,
        reportedAtMs: this.#now * 1000,
      });
      if (stateChanged) this.#events.push(this.#now + 1, STEERS, region, 0);
    }
    this.#events.push(this.#now + REPORT_INTERVAL_SECONDS, REPORTS, bucket, 0);
  }

  #steer(region: number, isRegular: boolean): void {
    if (!this.#policy.steering) return;
    if (isRegular) {
      const late = this.#random.delays() * RUN_LATE_SECONDS - RUN_LATE_SECONDS / 2;
      this.#events.push(this.#now + STEERING_INTERVAL_SECONDS + late, STEERS, region, 1);
    }
    if (!this.#route53Answers) return;
    const { from, to } = IN_SYNC_SECONDS;
    const delay = from + this.#random.delays() * (to - from);
    for (const change of (this.#steering[region] as Steering).run(this.#now, delay)) {
      const slot = this.#fleet.slots.findIndex(({ plan }) => plan.name === change.slot);
      this.#events.push(this.#now + delay, WEIGHT_IN_DNS, slot, change.to);
      if (this.#now >= this.#measureFrom) this.#changes[slot] = (this.#changes[slot] as number) + 1;
    }
  }

  #act(action: Action): void {
    const slots =
      action.slots ??
      this.#fleet.slots.flatMap(({ plan }, index) => (plan.region === action.region ? [index] : []));
    switch (action.kind) {
      case 'route53-down':
      case 'route53-up':
        this.#route53Answers = action.kind === 'route53-up';
        break;
      case 'reports-down':
      case 'reports-up':
        this.#reportsArrive = action.kind === 'reports-up';
        break;
      default:
        for (const slot of slots) this.#actOnSlot(action.kind, slot);
    }
  }

  #actOnSlot(kind: 'drain' | 'restore' | keyof typeof FAILURES, slot: number): void {
    if (kind === 'restore') {
      this.#slots.restore(slot);
      this.#removed[slot] = 0;
    } else {
      if (kind === 'drain') this.#slots.drain(slot);
      else {
        this.#count.cutCalls += this.#slots.fail(slot, FAILURES[kind]);
        this.#silentSince[slot] = this.#now;
        this.#secondsToLastInvite ??= 0;
      }
      if (!this.#policy.healthChecks)
        this.#events.push(this.#now + PERSON_ACTS_AFTER_MINUTES * 60, PERSON_ACTS, slot, 0);
    }
    this.#healthChanged(slot);
  }

  #sample(): void {
    this.#events.push(this.#now + 60, SAMPLE, 0, 0);
    const measures = this.#now >= (this.#scenario.measureFromMinute ?? WARM_UP_MINUTES) * 60;
    for (const slots of this.#slotsOfName) {
      const serving = slots.filter((slot) => this.#slots.serves(slot));
      const first = Math.min(...serving.map((slot) => this.#priority(slot)));
      const utilisations = serving
        .filter((slot) => this.#priority(slot) === first)
        .map((slot) => this.#utilisation(slot));
      if (!measures) continue;
      this.#balance.add(utilisations);
      this.#highestUtilisation = Math.max(this.#highestUtilisation, ...utilisations);
    }
    const answered = this.#answer(0);
    for (const [place, slot] of (this.#slotsOfName[0] as number[]).entries()) {
      const same = answered.filter(({ priority }) => priority === this.#priority(slot));
      const total = same.reduce((sum, { weight }) => sum + weight, 0);
      const own = same.find((target) => target.slot === slot)?.weight ?? 0;
      const series = this.#series[place] as Series;
      series.minutes.push(this.#now / 60);
      series.utilisation.push(this.#utilisation(slot));
      series.weightShare.push(total === 0 ? 0 : own / total);
    }
  }

  #figures(endAt: number): Figures {
    const hours = (endAt - this.#measureFrom) / 3600;
    const changes = this.#changes.reduce((sum, count) => sum + count, 0);
    return {
      scenario: this.#scenario.name,
      policy: this.#policy.name,
      seed: this.#seed,
      ...this.#count,
      waitedSeconds: this.#count.unansweredInvites * SRC_PATIENCE_SECONDS,
      highestOverMean: round(this.#balance.average, 3),
      highestOverMeanWorst: round(this.#balance.worst, 3),
      highestUtilisation: round(this.#highestUtilisation, 3),
      secondsToLastInvite: this.#secondsToLastInvite === null ? null : round(this.#secondsToLastInvite, 1),
      changesPerSlotHour: round(changes / this.#slots.count / hours, 2),
      changesPerSlotHourMost: round(Math.max(...this.#changes) / hours, 2),
      changes,
    };
  }

  #plan(slot: number): SimulatedSlot['plan'] {
    return (this.#fleet.slots[slot] as SimulatedSlot).plan;
  }

  #priority(slot: number): number {
    return this.#plan(slot).srvRecords[0]?.priority ?? 0;
  }

  #utilisation(slot: number): number {
    return (this.#slots.active[slot] as number) / (this.#slots.capacity[slot] as number);
  }
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits));
