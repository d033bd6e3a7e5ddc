"""Random lives of jobs: mostly what honest parties would do, often with poor content, sometimes hostile, always legal.

Every choice comes from one ``random.Random``, so that a seed is a trace: hypothesis owns it in the state machine, and
the differential test counts it up.  Mostly honest, because a trace of pure noise never gets past BIDDING.
"""

from dataclasses import replace
from random import Random

from morphware.protocol import calls
from morphware.protocol.calls import ModelRoot, Opening, Option, Report, SignedBid, SignedReport
from morphware.protocol.commitments import bid_commitment, keccak, report_commitment, salt_of
from morphware.protocol.job import RULES, Job
from morphware.protocol.market import RESERVE_LEAST_SHARE, WINDOW_MOST_S
from morphware.protocol.states import State
from morphware.protocol.units import BAD_MODEL, NO_MODEL, NO_TEST, Address, JobId, Wei
from tests.protocol.market_crowds import FILLER, SCARCE_SEATS, occupy, post_fillers
from tests.protocol.market_world import (
    CHUNKS,
    SEAT_STAKE_WEI,
    STRANGER,
    TEST_CHUNKS,
    USER,
    VALIDATORS,
    WORKERS,
    World,
    disclosure,
    exam_keys,
    secret,
    terms_of,
    train_keys,
    user_seed,
    worker_seed,
    x_of,
    y_of,
)

MOST_JOBS = 3
CROWD = (USER, *WORKERS, *VALIDATORS[:7], STRANGER)
"""Whoever calls something by chance."""


def found(random: Random, world: World | None = None) -> World:
    """A world with some seats, not always enough, not always of strangers, some of them leaving."""
    world = (world or World()).found(VALIDATORS[: random.choice((5, 7, 11, 15, 28, 28, 40, SCARCE_SEATS, 90))])
    for _ in range(random.choice((0, 0, 1, 3))):
        world.ask(random.choice(CROWD), calls.Stake(random.choice((1, 2))))
    for _ in range(random.choice((0, 0, 0, 2))):
        world.ask(random.choice(VALIDATORS[:7]), calls.RequestUnstake(random.randrange(7)))
    scale = world.market.parameters.seat_stake_wei // SEAT_STAKE_WEI
    world.ask(STRANGER, calls.FundAudits(Wei(random.choice((0, 20, 500, 500)) * scale)))
    world.wait(random.choice((0, 1, 1)))
    if world.market.registry.free_seats >= SCARCE_SEATS and random.random() < 0.8:
        make_scarce(world, random)
    return world


def make_scarce(world: World, random: Random) -> None:
    """Most seats sit in two jobs that nobody cares for, and a third one is about to want a committee."""
    fillers = post_fillers(world)
    until = random.choice((State.SEED, State.SEED, State.VREVEAL))
    job_id = world.post("scarce", seats=random.choice((1, 3)), reserve_wei=35 * world.scale, bidding_s=4)
    world.prices, prices = (10 * world.scale, 20 * world.scale), world.prices
    world.advance(job_id, until)
    world.prices = prices
    occupy(world, fillers)


def step(world: World, random: Random) -> None:
    """One thing happens: an honest move, a hostile one, or only time."""
    kind = random.random()
    living = [job for job in world.market.jobs.values() if job.state is not State.CLOSED]
    if len(world.market.jobs) < MOST_JOBS and (not living or kind < 0.01):
        post(world, random)
    elif not living or kind < 0.17:
        hostile(world, random)
    elif kind < 0.22:
        wait(world, random, random.choice(living))
    else:
        honest(world, random, _cared_for(world, random, living))


def _cared_for(world: World, random: Random, living: list[Job]) -> Job:
    """Whoever keeps seats busy takes its time: those jobs move seldom."""
    wanted = [job for job in living if not world.names[job.job_id].startswith(FILLER)]
    return random.choice(wanted if wanted and random.random() < 0.92 else living)


def post(world: World, random: Random) -> None:
    """A job with terms that are usually acceptable."""
    name = f"job {len(world.market.jobs)}"
    seats = random.choice((1, 1, 3, 3, 3, 5, 5, 5, 7, 4, 13))
    threshold = random.choice((900_000, 900_000, 900_000, -(2**63), 2**63 - 1))
    options = random.choice(
        (0, 0, 0, 0, Option.PUBLIC, Option.LINEAR, Option.LINEAR, 3, 4, 4, 6, random.choice((5, 7, 8)))
    )
    baselines = (
        (threshold - 100_000, threshold - 1, -(2**63), threshold) if options & Option.LINEAR else (0,) * 9 + (1,)
    )
    stake = world.market.parameters.seat_stake_wei
    scale = stake // SEAT_STAKE_WEI
    terms = terms_of(
        name,
        seats=seats,
        reserve_wei=some_reserve(random, stake, seats),
        fee_wei=random.choice((2, 2, 2, 2, 2, 7, 7, 1, 1, 90, 90, 0)) * scale,
        threshold_e6=threshold,
        options=int(options),
        baseline_e6=max(-(2**63), random.choice(baselines)),
        tolerance_e6=random.choice((0, 5_000, 5_000, 2**64 - 1)),
        fingerprint_tolerance_e9=random.choice((0, 10_000, 10_000, 2**64 - 1)),
        bidding_s=random.choice((20,) * 9 + (WINDOW_MOST_S + 1,)),
        training_s=random.choice((50,) * 9 + (2**32 - 1,)),
        testing_s=random.choice((15, 15, 15, 15, 9, 0, 8, 2**32 - 1)),
    )
    world.know(name, terms)
    world.ask(USER, calls.Post(terms, b"specification" * random.choice((1, 1, 1, 1, 1, 700))))


def some_reserve(random: Random, stake: int, seats: int) -> int:
    """A reserve that such a committee can vouch for and that is worth it, at the ends, too; now and then it is not."""
    least, most = -(-stake * (seats + 1) // RESERVE_LEAST_SHARE), stake * (seats + 1) // 4
    usual = random.choice((100, 100, 99, 37)) * stake // SEAT_STAKE_WEI
    within = min(max(usual, least), most)
    return random.choice((within,) * 8 + (least, most, random.choice((least - 1, most + 1, 1, 2))))


def wait(world: World, random: Random, job: Job) -> None:
    """Time passes; deadlines and their neighbours are the interesting instants."""
    left = job.deadline - world.now
    seconds = random.choice((0, 1, 1, 2, left - 1, left, left + 1))
    world.wait(max(0, seconds), random.choice((0, 1, 1, 2, 3, 300)))


def time_out(world: World, random: Random, job: Job) -> None:
    """Whoever had to act did not."""
    world.wait(max(0, job.deadline - world.now) + random.choice((0, 0, 1)), random.choice((1, 2, 3)))
    world.ask(random.choice(CROWD), calls.Poke(job.job_id))


def honest(world: World, random: Random, job: Job) -> None:
    """The next move of the job, by whoever has to make it; now and then nobody does."""
    job_id = job.job_id
    if world.now >= job.deadline or random.random() < 0.03:
        time_out(world, random, job)
        return
    if random.random() < 0.3:
        world.wait(1)
    match job.state:
        case State.BIDDING:
            if not job.bids and random.random() < 0.05:
                world.ask(job.user, calls.Cancel(job_id))
            elif len(job.bids) < 2 or random.random() < 0.5:
                bid(world, random, job)
            else:
                time_out(world, random, job)
        case State.REVEALING:
            odds = random.choice((0.7, 1, 1))
            openings = [o for o in world.openings[job_id] if random.random() < odds]
            random.shuffle(openings)
            world.ask(random.choice(CROWD), calls.RevealBids(job_id, tuple(openings)))
        case State.AWARDED if job.is_split and job.split_seed is None and random.random() < 0.9:
            world.wait(0, random.choice((0, 1, 2, 3, 3, 3, 300)))
            world.ask(random.choice(CROWD), calls.DrawSplit(job_id))
        case State.AWARDED:
            world.ask(job.user, calls.PostKeys(job_id, bytes(random.choice((112, 112, 1088, 1089)))))
        case State.KEYED:
            odds = 0.5 if job.is_split else 0.2
            choices = (calls.Decline(job_id), calls.ComplainKey(job_id)) if random.random() < odds else ()
            world.ask(job.winner, random.choice(choices or (calls.Acknowledge(job_id),)))
        case State.KEY_DISPUTE:
            world.ask(job.user, world.disclose_key(job_id))
        case State.TRAINING:
            manifest = bytes(random.choice((100, 100, 8192, 8193)))
            world.ask(job.winner, replace(world.submission(job_id), model=manifest))
        case State.SEED:
            world.wait(0, random.choice((0, 1, 2, 3, 3, 3, 300)))
            world.ask(job.user, world.seed(job_id))
        case State.KEYING | State.VCOMMIT | State.VREVEAL:
            examine(world, random, job)
        case State.X_DISPUTE:
            world.ask(job.winner, world.disclose_x(job_id))
        case State.DISCLOSE:
            call = random.choice((world.disclose_test(job_id), world.disclose_model(job_id)))
            world.ask(random.choice(CROWD), call)
        case State.TALLIED if random.random() < 0.7:
            world.ask(random.choice((*WORKERS, STRANGER, USER)), calls.Appeal(job_id))
        case State.CLAIMABLE:
            world.ask(random.choice(CROWD), world.claim(job_id))
        case State.INSPECT if random.random() < 0.75:
            world.ask(job.user, calls.InspectAppeal(job_id))
        case _:
            time_out(world, random, job)


def examine(world: World, random: Random, job: Job) -> None:
    """One move of a round of testing; large committees move together, or no trace would get through them."""
    job_id, name = job.job_id, world.names[job.job_id]
    match job.state:
        case State.KEYING if random.random() < 0.1:
            world.ask(job.user, calls.ComplainX(job_id))
        case State.KEYING if random.random() < 0.5:
            world.ask(job.user, calls.PostTestKeys(job_id, world.boxes(job_id)))
        case State.KEYING:
            world.ask(job.winner, calls.PostModelKeys(job_id, world.boxes(job_id)))
        case State.VCOMMIT:
            now, odds = job.rounds[-1], random.random()
            waiting = [each for each in job.committee if each not in now.commitments]
            if odds < 0.06:
                accuser = random.choice(job.committee)
                world.ask(accuser, calls.ComplainKeys(job_id, against_user=random.random() < 0.5))
            elif odds < 0.16:
                kind = random.choice((calls.PostTestKeys, calls.PostModelKeys))
                caller = job.user if kind is calls.PostTestKeys else job.winner
                world.ask(caller, kind(job_id, world.boxes(job_id)))
            elif odds < 0.4:
                world.commit_report(job_id, some_report(random, random.choice(waiting), name))
            else:
                present = [each for each in waiting if random.random() < random.choice((0.5, 0.95, 1))]
                sealed = [world.sealed_report(job_id, some_report(random, each, name)) for each in present]
                world.ask(random.choice(CROWD), calls.CommitReportBatch(job_id, tuple(sealed)))
        case _:
            committed = [r for r in world.reports_now(job_id) if r.validator in job.rounds[-1].commitments]
            reports = [r for r in committed if random.random() < random.choice((0.4, 0.9, 1))]
            world.ask(random.choice(CROWD), calls.RevealReports(job_id, tuple(reports)))


def bid(world: World, random: Random, job: Job) -> None:
    """A bid; now and then somebody copies its commitment, and gets it on chain before the bid or after it."""
    opening, copiers = some_opening(random, job), [who for who in (*WORKERS, STRANGER) if random.random() < 0.03]
    copy = calls.Commit(job.job_id, bid_commitment(world.market.domain, job.job_id, opening))
    is_first = random.random() < 0.5
    for copier in copiers if is_first else ():
        world.ask(copier, copy)
    if random.random() < 0.3:
        world.ask(random.choice(CROWD), calls.CommitBatch(job.job_id, (world.sealed_bid(job.job_id, opening),)))
    else:
        world.bid(job.job_id, opening)
    for copier in () if is_first else copiers:
        world.ask(copier, copy)


def some_opening(random: Random, job: Job) -> Opening:
    """A bid; prices crowd, so that ties are common, and some bids are decoys or cannot win."""
    bidder = random.choice((*WORKERS, *WORKERS, VALIDATORS[0]))
    reserve = job.terms.reserve_wei
    price = random.choice((30, 40, reserve // 3, reserve, 0, reserve + 1, random.randint(1, reserve)))
    estimated_s = random.choice((40, 40, 40, 50, 1, 51, 0))
    return Opening(bidder, Wei(price), random.random() < 0.85, estimated_s, salt_of(worker_seed(bidder)))


def some_report(random: Random, validator: Address, name: str) -> Report:
    """A report about a model that is good or poor by the job's name; now and then it is wrong, or a code."""
    truth = (950_000, 899_000, 850_000)[keccak(name.encode())[0] % 3]
    wrong = (truth + 5_000, truth + 5_001, 10, BAD_MODEL, 950_000, NO_MODEL, NO_TEST, NO_MODEL)
    metric = truth if random.random() < 0.75 else random.choice(wrong)
    fingerprint = random.choice((123_456_789,) * 14 + (123_457_800, -5, 0, -(2**63), 2**63 - 1))
    return Report(validator, metric, fingerprint, secret("root"), keccak(b"salt" + validator))


def hostile(world: World, random: Random, spared: frozenset[Address] = frozenset()) -> None:
    """A call of any kind by whoever is not spared, with arguments that may be right, wrong, stale or another job's."""
    job_id = random.choice([*world.market.jobs, JobId(secret("no job"))])
    job = world.market.jobs.get(job_id)
    involved = [who for who in (job.user, job.winner, *job.committee) if any(who)] if job else []
    caller = random.choice(involved if involved and random.random() < 0.6 else CROWD)
    if caller in spared:
        return
    menu = [*account_calls(world, random, caller), *auction_calls(world, random, job_id, caller)]
    menu += trial_calls(world, random, job_id)
    if job and random.random() < 0.2:
        world.know(world.names[job_id], job.terms, caller)
        menu.append(calls.Post(job.terms, b"again"))
    if spared:  # nobody else can sign for them
        menu = [call for call in menu if not isinstance(call, (calls.CommitBatch, calls.CommitReportBatch))]
    fitting = [call for call in menu if job and (job.state, type(call)) in RULES]
    world.ask(caller, random.choice(fitting if fitting and random.random() < 0.6 else menu))


def account_calls(world: World, random: Random, caller: Address) -> list[calls.Call]:
    """Anybody's own money and seats, and other people's seats."""
    seat = random.randrange(world.market.registry.next_seat + 1)
    return [
        calls.Deposit(Wei(random.choice((0, 1, 500)))),
        calls.Withdraw(Wei(random.choice((0, 1, 500, world.free(caller), world.free(caller) + 1)))),
        calls.Stake(random.choice((0, 1, 1, 2, 200))),
        calls.RequestUnstake(seat),
        calls.Unstake(seat),
        calls.FundAudits(Wei(random.choice((0, 1, 50, world.free(caller) + 1)))),
        calls.PublishNode(secret("k"), secret("p"), ("/ip4/127.0.0.1/tcp/1",) * random.choice((0, 1, 8, 9))),
    ]


def auction_calls(world: World, random: Random, job_id: JobId, caller: Address) -> list[calls.Call]:
    """The first half of a job's calls, mostly wrong, and copies of what others sent."""
    any_openings = [opening for each in world.openings.values() for opening in each]
    name = random.choice((world.names.get(job_id, "nothing"), "job 0", "wrong"))
    terms = terms_of(name)
    menu: list[calls.Call] = [
        calls.Cancel(job_id),
        calls.Commit(job_id, random.choice((bytes(32), secret("0"), secret("1"), secret("2")))),
        calls.CommitBatch(job_id, (SignedBid(caller, secret("relayed"), bytes(random.choice((0, 64, 65, 66)))),)),
        calls.RevealBids(job_id, tuple(random.sample(any_openings, min(len(any_openings), random.randrange(3))))),
        calls.DrawSplit(job_id),
        calls.PostKeys(job_id, bytes(random.choice((0, 112, 1088, 1089)))),
        calls.Acknowledge(job_id),
        calls.Decline(job_id),
        calls.ComplainKey(job_id),
        calls.DiscloseKey(job_id, train_keys(name), terms.seed_hash, terms.test_key_hash),
        calls.DiscloseKey(job_id, some_words(random, name), terms.seed_hash, terms.test_key_hash),
        calls.SubmitModel(
            job_id,
            secret("other model"),
            secret("x"),
            secret("y"),
            worker_seed(random.choice(WORKERS)),
            bytes(random.choice((0, 100, 8192, 8193))),
        ),
    ]
    if any_openings and job_id in world.market.jobs:
        stolen = random.choice(any_openings)
        menu.append(calls.Commit(job_id, bid_commitment(world.market.domain, job_id, stolen)))
        menu.append(calls.RevealBids(job_id, (replace(stolen, bidder=caller),)))
        menu.append(calls.RevealBids(job_id, (stolen,) * random.choice((2, 64, 65))))
        sealed = world.sign_bid(job_id, replace(stolen, bidder=random.choice(WORKERS)))
        menu.append(calls.CommitBatch(job_id, (sealed,) * random.choice((1, 2, 65))))
        menu.append(calls.CommitBatch(job_id, (replace(sealed, bidder=caller), replace(sealed, commitment=bytes(32)))))
        high_s = sealed.signature[:32] + b"\xff" * 32 + sealed.signature[64:]
        menu.append(calls.CommitBatch(job_id, (replace(sealed, signature=high_s),)))
    return menu


def trial_calls(world: World, random: Random, job_id: JobId) -> list[calls.Call]:
    """The second half of a job's calls, mostly wrong."""
    job = world.market.jobs.get(job_id)
    name = random.choice((world.names.get(job_id, "nothing"), "job 0", "wrong"))
    terms = terms_of(name)
    boxes = world.boxes(job_id) if job else ()
    any_reports = [report for each in world.reports.values() for report in each.values()]
    seed = worker_seed(random.choice((job.winner, *WORKERS)) if job else STRANGER)
    root = ModelRoot(secret("model"), keccak(x_of(name)), keccak(y_of(name)), seed)
    menu: list[calls.Call] = [
        calls.RevealSeed(job_id, user_seed(name), terms.train_key_hash, terms.test_key_hash, root),
        calls.ComplainX(job_id),
        calls.DiscloseX(job_id, x_of(name), root.model_hash, root.y_hash, seed),
        calls.PostTestKeys(job_id, boxes[: random.choice((0, 1, 99))]),
        calls.PostTestKeys(job_id, boxes),
        calls.PostModelKeys(job_id, (bytes(513), *boxes[1:])),
        calls.PostModelKeys(job_id, boxes),
        calls.CommitReport(job_id, random.choice((bytes(32), secret("report")))),
        calls.ComplainKeys(job_id, against_user=random.random() < 0.5),
        calls.DiscloseTest(job_id, exam_keys(name), terms.seed_hash, terms.train_key_hash),
        calls.DiscloseTest(job_id, some_words(random, name), terms.seed_hash, terms.train_key_hash),
        calls.DiscloseModel(job_id, x_of(name), y_of(name), root.model_hash, seed),
        calls.RevealReports(job_id, tuple(random.sample(any_reports, min(len(any_reports), random.randrange(3))))),
        calls.Appeal(job_id),
        calls.Claim(job_id, y_of(name), root.model_hash, root.x_hash, seed),
        calls.InspectAppeal(job_id),
        calls.Poke(job_id),
        calls.Poke(job_id),
    ]
    if job and job.committee:
        report = some_report(random, random.choice(job.committee), name)
        commitment = report_commitment(world.market.domain, job_id, random.choice((0, job.round)), report)
        menu.append(calls.CommitReport(job_id, commitment))
        forged = SignedReport(report.validator, commitment, bytes(65))
        menu.append(calls.CommitReportBatch(job_id, (forged,) * random.choice((1, 65))))
        sealed = world.sign_report(job_id, some_report(random, random.choice((*job.committee, *CROWD)), name))
        menu.append(calls.CommitReportBatch(job_id, (forged, sealed, sealed)))
    return menu


def some_words(random: Random, name: str) -> bytes:
    """What could be a split job's disclosure, and mostly is not: of other chunks, cut off, or no words at all."""
    shown = random.sample(range(CHUNKS), random.choice((0, TEST_CHUNKS, CHUNKS - TEST_CHUNKS, CHUNKS)))
    words = disclosure(name, shown, random.choice((0, TEST_CHUNKS, CHUNKS, CHUNKS + 1, 2**256 - 1)))
    sizes = (0, 31, 32, 64, 65, 96, 1088, 1089, len(words) - 1, len(words) - 32)
    return random.choice((words, words, words[: random.choice(sizes)], bytes(random.choice(sizes))))


def run_out(world: World) -> None:
    """Nobody acts any more: time and pokes alone have to close every job, the youngest first."""
    for job in reversed(world.market.jobs.values()):
        world.close(job.job_id)
