/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replog.pml - the replicated log's view change and commit (quorum/), for spin.
 *
 * doc/protocol.md, "The model", says which rule of the code each part stands for and what is left
 * out. tests/model/run checks it, and checks that it fails with one rule taken out (NO_...).
 *
 * One process; each turn of its loop is one event of one node, so spin tries every order of events.
 * A log is a number: five bits an entry, the newest lowest; an entry is (epoch id, content). Two
 * logs are equal if the numbers are, and one is the beginning of another if it is what remains of
 * it after shifting. What is multicast and must keep its order (activates, entries) stands in the
 * view's queue, of which each member has read a part. What only ever grows truer (hello, promise,
 * ack) lies open: whoever is in the view may take notice of it at any time, or never. That allows
 * more than agreed order does, so what holds here holds there.
 *
 *   N            nodes: 3 (majority) or 2 (two_node, barrier)
 *   EPOCHS VIEWS CRASHES TIMEOUTS COMMANDS FENCES    how many of each at most, after the start
 *   AGAIN        epochs may follow each other within a view (leaving out, taking in)
 *   PLAN         which three views there are, a digit each, the first one lowest: a narrower search
 *   REACH        1..3: claims that something good is never reached, so that spin shows that it is
 */
#ifndef N
#define N 3
#endif
#ifndef EPOCHS
#define EPOCHS 3
#endif
#ifndef VIEWS
#define VIEWS 3
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 0
#endif
#ifndef COMMANDS
#define COMMANDS 1
#endif
#ifndef FENCES
#define FENCES 2
#endif
#if N == 3
#define QUORUM 2
#else
#define QUORUM 1 /* two_node */
#endif
#define QUEUE 8
#define LONGEST 6 /* entries of a log: 30 bits */

/* ---- logs */
#define VIEW 0
#define COMMAND 1 /* and 2 */
#define FENCE 3
#define EN(e, what) (((e) << 2) | (what))
#define LEN(l)                                                                                     \
	(((l) != 0) + (((l) >> 5) != 0) + (((l) >> 10) != 0) + (((l) >> 15) != 0) +                \
	 (((l) >> 20) != 0) + (((l) >> 25) != 0))
#define LAST(l) (((l)&31) >> 2) /* epoch of the last entry */
#define TAKE(l, k) ((l) >> (5 * (LEN(l) - (k))))
#define BEGINS(a, b) (LEN(a) <= LEN(b) && TAKE(b, LEN(a)) == (a))

/* ---- the world */
typedef Node {
	int mem;  /* log */
	int disk; /* of it, durable */
	int held; /* entries that wait behind a transfer */
	unsigned up : 1;
	unsigned view : 3; /* members of its view */
	unsigned pos : 4;  /* read so far of the view's queue */
	unsigned seen : 3; /* highest activate number in this view */
	unsigned prom : 3;
	unsigned prom_disk : 3;
	unsigned said : 3; /* ghost: highest number ever promised aloud */
	unsigned ep : 3;   /* epoch id, 0 for none */
	unsigned begun : 1;
	unsigned opened : 1;
	unsigned syncing : 1;
	unsigned barrier : 1;
	unsigned live : 1;
	unsigned caught : 1;
	unsigned asked : 1; /* an activate of its own is under way */
	unsigned done : 3; /* committed and applied so far */
	unsigned proof : 1; /* an RL_FENCE proposal that is not applied yet */
	/* what it said last */
	unsigned p_ep : 3; /* promise: epoch */
	unsigned a_ep : 3; /* ack: epoch and index */
	unsigned a_index : 3;
	unsigned h_view : 3; /* hello: view, seen, promised, live, caught up, log */
	unsigned h_seen : 3;
	unsigned h_prom : 3;
	unsigned h_live : 1;
	unsigned h_caught : 1;
	int h_log;
};
Node node[3];

typedef Queue {
	byte what[QUEUE]; /* ACTIVATE | epoch, or an entry */
	byte used;
};
#define ACTIVATE 128
Queue queue[N];
#define Q(view) ((view)&1 -> 0 : ((view)&2 -> 1 : 2))

typedef Epoch {
	unsigned num : 3;
	unsigned owner : 2;
	unsigned members : 3;
	unsigned donor : 2;
	unsigned minority : 1;
	unsigned again : 1;
	unsigned prev : 3;
	unsigned based : 1; /* the donor has accepted: base is its log */
	unsigned used : 1;  /* ghost: some log holds an entry of it */
	unsigned point0 : 6; /* each member's log as its hello named it: last epoch, length */
	unsigned point1 : 6;
	unsigned point2 : 6;
	int base;
};
Epoch epoch[EPOCHS + 1]; /* by id; 0 is none */

byte epochs, views, crashes, timeouts, commands, fences;
int truth; /* ghost: what had effect so far, the longest */

#define POINT(l) ((LAST(l) << 3) | LEN(l))
#define POINT_OF(e, n) ((n) == 0 -> epoch[e].point0 : ((n) == 1 -> epoch[e].point1 : epoch[e].point2))
#define IN(n, set) (((set) >> (n)) & 1)
#define COUNT(set) (((set)&1) + (((set) >> 1) & 1) + (((set) >> 2) & 1))
/* Order of epochs: number, node, incarnation (a later id is a later one). */
#define RANK(e) (((e) != 0) * ((epoch[e].num << 5) | (epoch[e].owner << 3) | (e)))
/* May another message be sent in the view of n? */
#define ROOM(n) (queue[Q(node[n].view)].used < QUEUE)
#define ACTIVE(n) (node[n].ep != 0 && node[n].begun && !node[n].syncing)
#define HELLO_CURRENT(m, n)                                                                        \
	(node[m].h_view != 0 && node[m].h_view == node[n].view && node[m].h_seen == node[n].seen)

hidden byte i, j, k, q, msg, x, more, top, best;
hidden int walk, key, bestkey;

/* What is claimed: never set, so that spin names the claim that a state breaks. */
hidden byte one_content_per_number, promise_kept, agreement, never_lost, fenced_before_effect, not_reached;
#define CLAIM(it, what)                                                                            \
	if                                                                                         \
	:: it -> skip                                                                              \
	:: else -> assert(what)                                                                    \
	fi

inline send(n, message)
{
	q = Q(node[n].view);
	queue[q].what[queue[q].used] = message;
	queue[q].used++
}

inline hello(n)
{
	node[n].h_view = node[n].view;
	node[n].h_seen = node[n].seen;
	node[n].h_prom = node[n].prom;
	node[n].h_live = node[n].live;
	node[n].h_caught = node[n].caught;
	node[n].h_log = node[n].mem
}

/* hello_leave_epoch */
inline leave(n)
{
	node[n].ep = 0;
	node[n].begun = 0;
	node[n].opened = 0;
	node[n].syncing = 0;
	node[n].barrier = 0;
	node[n].held = 0;
	node[n].asked = 0
}

/* entries_effective: the last epoch that was whole or whose barrier its own entries lift -> x;
 * entries_effective_index: its last entry -> more */
inline effective(l)
{
	walk = l;
	x = 0;
	do
	:: walk == 0 -> break
	:: else ->
		if
		:: !epoch[LAST(walk)].minority || (walk & 3) == FENCE -> x = LAST(walk); break
		:: else -> walk = walk >> 5
		fi
	od;
	walk = l;
	more = 0;
	do
	:: walk == 0 -> break
	:: else ->
		if
		:: LAST(walk) == x -> more = LEN(walk); break
		:: else -> walk = walk >> 5
		fi
	od
}

/* ---- accept.c: an activate is delivered */

inline accept(n, e)
{
	CLAIM((epoch[e].num > node[n].said), promise_kept);
	node[n].syncing = ((epoch[e].again && !(node[n].ep != 0 && !node[n].syncing)) ||
			   (!epoch[e].again && epoch[e].donor != n &&
			    POINT(node[n].mem) != POINT_OF(e, epoch[e].donor)));
	node[n].prom = epoch[e].num;
	node[n].ep = e;
	node[n].begun = 0;
	node[n].opened = 0;
	node[n].held = 0;
	node[n].live = 0;
	node[n].barrier = epoch[e].minority;
#ifndef NO_FRESH_PROOF
	node[n].proof = 0; /* it proves nothing of what happened since */
#endif
#ifdef NO_BARRIER
	node[n].barrier = 0;
#endif
	if
	:: epoch[e].donor == n ->
		epoch[e].base = node[n].mem;
		epoch[e].based = 1
	:: else
	fi
}

inline look_on(n)
{
	if
	:: node[n].ep == 0 -> hello(n)
	:: else
	fi
}

/* Later than what the epoch that goes on knows? */
#define KNOWS_LATER(n, e) (RANK(LAST(node[n].mem)) > RANK(epoch[e].prev))

inline activate_in(n, e)
{
	if
	:: epoch[e].owner == n -> node[n].asked = 0
	:: else
	fi;
	if
	:: epoch[e].num <= node[n].seen -> skip
	:: else ->
		node[n].seen = epoch[e].num;
		if
		:: epoch[e].num <= node[n].prom || (node[n].ep != 0 && !epoch[e].again) -> look_on(n)
		:: else ->
			if
			:: node[n].ep != 0 && epoch[e].prev != node[n].ep -> skip
			:: else ->
				if
				:: !IN(n, epoch[e].members) ->
					leave(n);
					hello(n)
				:: else ->
					/* acceptable(): a follower (the log of the epoch that goes on, 63) or our point */
					if
					:: (POINT_OF(e, n) == 63 && node[n].ep != 0) ||
					   (POINT_OF(e, n) == POINT(node[n].mem) &&
					    !(epoch[e].again && (node[n].ep != 0 || epoch[e].donor == n ||
								 KNOWS_LATER(n, e)))) ->
						accept(n, e)
					:: else ->
						leave(n);
						hello(n)
					fi
				fi
			fi
		fi
	fi
}

/* ---- commit.c: an entry is delivered */

/* A number stands for one content: of whole epochs, only one of a number ever holds an entry. */
inline use(e)
{
	epoch[e].used = 1;
#if N == 3
	for (j : 1 .. EPOCHS) {
		CLAIM((j == e || !epoch[j].used || epoch[j].num != epoch[e].num), one_content_per_number)
	}
#endif
}

inline append_in(n, entry)
{
	if
	:: node[n].ep != (entry >> 2) -> skip
#ifdef NO_VIEW_FIRST
	:: node[n].ep == (entry >> 2) && node[n].begun && (entry & 3) == VIEW -> skip
#else
	:: node[n].ep == (entry >> 2) && node[n].begun != ((entry & 3) != VIEW) -> skip
#endif
	:: else ->
		if
		:: (entry & 3) == VIEW -> node[n].begun = 1
		:: else
		fi;
		use(entry >> 2);
		if
		:: node[n].syncing -> node[n].held = (node[n].held << 5) | entry
		:: else -> node[n].mem = (node[n].mem << 5) | entry
		fi;
		/* proposals_flush: what waits is sent again in the new epoch */
		if
		:: (entry & 3) == VIEW && node[n].proof && !node[n].syncing && ROOM(n) ->
			send(n, EN(node[n].ep, FENCE))
		:: else
		fi
	fi
}

inline deliver(n)
{
	msg = queue[Q(node[n].view)].what[node[n].pos];
	node[n].pos++;
	if
	:: msg & ACTIVATE -> activate_in(n, (msg & 7))
	:: else -> append_in(n, msg)
	fi
}
#define CAN_DELIVER(n)                                                                             \
	(node[n].up && node[n].view != 0 && node[n].pos < queue[Q(node[n].view)].used &&              \
	 LEN(node[n].mem) < LONGEST && LEN(node[n].held) + LEN(epoch[node[n].ep].base) < LONGEST)

/* ---- the disk: what was written becomes durable; promise and ack follow it */

#define FIRST(n) (LEN(epoch[node[n].ep].base) + 1)
#ifdef NO_FIRST_ENTRY
#define ACK_FROM(n) 1
#else
#define ACK_FROM(n) FIRST(n)
#endif
#ifdef NO_DURABLE_PROMISE
#define PROMISED(n) 0
#else
#define PROMISED(n) node[n].prom
#endif
#define WILL_PROMISE(n) (node[n].ep != 0 && node[n].p_ep != node[n].ep)
#define WILL_ACK(n)                                                                                \
	(node[n].ep != 0 && !node[n].syncing && (node[n].begun || ACK_FROM(n) == 1) &&             \
	 LEN(node[n].mem) >= ACK_FROM(n) &&                                                        \
	 (node[n].a_ep != node[n].ep || node[n].a_index < LEN(node[n].mem)))
#define CAN_FLUSH(n)                                                                               \
	(node[n].up && (node[n].disk != node[n].mem || node[n].prom_disk != PROMISED(n) ||         \
			WILL_PROMISE(n) || WILL_ACK(n)))

inline ack_out(n)
{
	if
	:: WILL_ACK(n) ->
		node[n].a_ep = node[n].ep;
		node[n].a_index = LEN(node[n].mem);
		if
		:: !epoch[node[n].ep].minority -> node[n].caught = 1
		:: else
		fi
	:: else
	fi
}

inline flush(n)
{
#ifdef NO_DURABLE_ACK
	if
	:: WILL_ACK(n) -> skip /* the disk is told later, by a flush of its own */
	:: else -> node[n].disk = node[n].mem
	fi;
#else
	node[n].disk = node[n].mem;
#endif
	node[n].prom_disk = PROMISED(n);
	if
	:: WILL_PROMISE(n) ->
		node[n].p_ep = node[n].ep;
		node[n].said = (epoch[node[n].ep].num > node[n].said -> epoch[node[n].ep].num : node[n].said)
	:: else
	fi;
	ack_out(n)
}

/* ---- activation.c */

#define TO(s, n) (IN(n, s) -> POINT(node[n].h_log) : 0)

/* activation_try: the members s of n's view, whose hellos it has */
inline activate(n, s)
{
	top = (node[n].prom > node[n].seen -> node[n].prom : node[n].seen);
	bestkey = -1;
	best = 0;
	for (i : 0 .. N - 1) {
		if
		:: IN(i, s) ->
			if
			:: node[i].h_prom > top -> top = node[i].h_prom
			:: else
			fi;
			if
			:: epoch[LAST(node[i].h_log)].num > top -> top = epoch[LAST(node[i].h_log)].num
			:: else
			fi;
			effective(node[i].h_log);
			/* epoch_point_cmp: effective, more of it, live, last epoch, last index, lower
			 * node */
			key = (RANK(x) << 17) | (more << 14) | (node[i].h_live << 13) | (RANK(LAST(node[i].h_log)) << 5) |
			      (LEN(node[i].h_log) << 2) | (3 - i);
#ifdef NO_EPOCH_ORDER
			key = (LEN(node[i].h_log) << 2) | (3 - i);
#endif
#ifdef NO_EFFECTIVE_ORDER
			key = (RANK(LAST(node[i].h_log)) << 5) | (LEN(node[i].h_log) << 2) | (3 - i);
#endif
			if
			:: key > bestkey -> bestkey = key; best = i
			:: else
			fi
		:: else
		fi
	}
	epochs++;
	epoch[epochs].num = top + 1;
	epoch[epochs].owner = n;
	epoch[epochs].members = s;
	epoch[epochs].donor = best;
	epoch[epochs].minority = (COUNT(s) * 2 <= N);
	epoch[epochs].point0 = TO(s, 0);
	epoch[epochs].point1 = TO(s, 1);
	epoch[epochs].point2 = TO(s, 2);
	node[n].asked = 1;
	send(n, (ACTIVATE | epochs))
}
#ifdef NO_CAUGHT_UP
#define MAY_LEAD(n, s) 1
#else
#define MAY_LEAD(n, s) (COUNT(s) * 2 > N || node[n].h_caught)
#endif
#define HAS_HELLOS(n, s)                                                                           \
	((!IN(0, s) || HELLO_CURRENT(0, n)) && (!IN(1, s) || HELLO_CURRENT(1, n)) &&               \
	 (!IN(2, s) || HELLO_CURRENT(2, n)))
#ifdef IMPATIENT
#define IN_TURN(n, s) 1
#else
/* The lowest of the whole view; nobody's hello is late, nobody is waited for in vain. */
#define IN_TURN(n, s) (s == node[n].view && (s & ((1 << n) - 1)) == 0)
#endif
#define CAN_ACTIVATE(n, s)                                                                         \
	(epochs < EPOCHS && node[n].up && node[n].view != 0 && node[n].ep == 0 && !node[n].asked && \
	 IN(n, s) && COUNT(node[n].view) >= QUORUM && COUNT(s) >= QUORUM && HAS_HELLOS(n, s) &&    \
	 MAY_LEAD(n, s) && IN_TURN(n, s) && ROOM(n))

/* activation_again: members of the present epoch that are not silent, and those who say hello */
#define FOLLOWS(m, n, s) (IN(m, s) && !HELLO_CURRENT(m, n))
inline activate_again(n, s)
{
	top = (node[n].prom > node[n].seen -> node[n].prom : node[n].seen);
	for (i : 0 .. N - 1) {
		if
		:: IN(i, s) && HELLO_CURRENT(i, n) && node[i].h_prom > top -> top = node[i].h_prom
		:: else
		fi
	}
	epochs++;
	epoch[epochs].num = top + 1;
	epoch[epochs].owner = n;
	epoch[epochs].members = s;
	epoch[epochs].donor = n;
	epoch[epochs].again = 1;
	epoch[epochs].prev = node[n].ep;
	epoch[epochs].minority = (COUNT(s) * 2 <= N);
	epoch[epochs].point0 = (FOLLOWS(0, n, s) -> 63 : TO(s, 0));
	epoch[epochs].point1 = (FOLLOWS(1, n, s) -> 63 : TO(s, 1));
	epoch[epochs].point2 = (FOLLOWS(2, n, s) -> 63 : TO(s, 2));
	node[n].asked = 1;
	send(n, (ACTIVATE | epochs))
}
#define MAY_STAY(m, n, s)                                                                          \
	(!IN(m, s) || m == n || HELLO_CURRENT(m, n) || IN(m, epoch[node[n].ep].members))
#define CAN_AGAIN(n, s)                                                                            \
	(epochs < EPOCHS && node[n].up && ACTIVE(n) && !node[n].asked && IN(n, s) &&               \
	 !HELLO_CURRENT(n, n) && (s & ~node[n].view) == 0 &&                                       \
	 (s != epoch[node[n].ep].members || HELLO_CURRENT(0, n) || HELLO_CURRENT(1, n) ||          \
	  HELLO_CURRENT(2, n)) &&                                                                  \
	 COUNT(s) >= QUORUM && MAY_STAY(0, n, s) && MAY_STAY(1, n, s) && MAY_STAY(2, n, s) &&      \
	 (COUNT(s) * 2 > N || node[n].caught) && ROOM(n))

/* epoch_open: the promises would make a commit */
#define PROMISE(m, e) (IN(m, epoch[e].members) && node[m].p_ep == (e))
#define PROMISES(e) (PROMISE(0, e) + PROMISE(1, e) + PROMISE(2, e))
#define MET(e, votes) ((votes)*2 > COUNT(epoch[e].members) && (votes) >= QUORUM)
#ifdef NO_PROMISES
#define ENOUGH(e) 1
#else
#define ENOUGH(e) MET(e, PROMISES(e))
#endif
#define CAN_OPEN(n)                                                                                \
	(node[n].up && node[n].ep != 0 && epoch[node[n].ep].owner == n && !node[n].opened &&       \
	 !node[n].begun && ENOUGH(node[n].ep) && ROOM(n))
inline open(n)
{
#if N == 3
	/* nothing that had effect is missing in the log that a new epoch begins with */
	CLAIM((!epoch[node[n].ep].based || BEGINS(truth, epoch[node[n].ep].base)), never_lost);
#endif
	node[n].opened = 1;
	send(n, EN(node[n].ep, VIEW))
}

/* ---- catchup.c: the laggard's log becomes the donor's */

#define CAN_SYNC(n) (node[n].up && node[n].ep != 0 && node[n].syncing && epoch[node[n].ep].based)
inline sync(n)
{
#ifdef NO_ATOMIC_REPLACE
	node[n].disk = 0;
#endif
	walk = epoch[node[n].ep].base;
	/* what was applied and is replaced is undone: back to the base */
	if
	:: !BEGINS(TAKE(node[n].mem, node[n].done), walk) -> node[n].done = 0
	:: else
	fi;
	node[n].mem = (walk << (5 * LEN(node[n].held))) | node[n].held;
	node[n].held = 0;
	node[n].syncing = 0;
	if
	:: node[n].begun && node[n].proof && ROOM(n) -> send(n, EN(node[n].ep, FENCE))
	:: else
	fi
}

/* ---- commit.c: commit, apply, effect */

#define ACKED(m, e, idx) (IN(m, epoch[e].members) && node[m].a_ep == (e) && node[m].a_index >= (idx))
#define ACKS(e, idx) (ACKED(0, e, idx) + ACKED(1, e, idx) + ACKED(2, e, idx))
#ifdef NO_FIRST_ENTRY
#define COMMIT_FROM(n) (node[n].done + 1)
#define COMMITS(n) (node[n].ep != 0 && !node[n].syncing)
#else
#define COMMIT_FROM(n) (node[n].done + 1 > FIRST(n) -> node[n].done + 1 : FIRST(n))
#define COMMITS(n) ACTIVE(n)
#endif
#define CAN_COMMIT(n)                                                                              \
	(node[n].up && COMMITS(n) && COMMIT_FROM(n) <= LEN(node[n].mem) &&                         \
	 MET(node[n].ep, ACKS(node[n].ep, COMMIT_FROM(n))))

/* The log l has effect; a node of epoch e says so. */
inline effect(l, by)
{
	walk = l;
	CLAIM((BEGINS(walk, truth) || BEGINS(truth, walk)), agreement);
	if
	:: LEN(walk) > LEN(truth) -> truth = walk
	:: else
	fi;
#if N == 3
	/* a later epoch that has begun holds it too: it is never lost */
	for (j : 1 .. EPOCHS) {
		CLAIM((!epoch[j].used || !epoch[j].based || RANK(j) <= RANK(by) || BEGINS(walk, epoch[j].base)), never_lost)
	}
#endif
}

#if N == 3
/*
 * Majority: whatever enough disks hold and have acked may be noticed by someone, so it is taken for
 * noticed at once, when the last of these acks is given. (If nobody notices, less has effect.)
 */
inline committed(n)
{
	k = COMMIT_FROM(n);
	if
	:: CAN_COMMIT(n) ->
		do
		:: k < LEN(node[n].mem) && MET(node[n].ep, ACKS(node[n].ep, k + 1)) -> k++
		:: else -> break
		od;
		effect(TAKE(node[n].mem, k), node[n].ep)
	:: else
	fi
}
#else
/* Two nodes: what a node has noticed lifts its barrier. apply_committed, one by one. */
inline commit(n)
{
	k = COMMIT_FROM(n);
	do
	:: k < LEN(node[n].mem) && MET(node[n].ep, ACKS(node[n].ep, k + 1)) -> k++
	:: else -> break
	od;
	do
	:: node[n].done < k ->
		node[n].done++;
		msg = TAKE(node[n].mem, node[n].done) & 31;
		if
		:: (msg & 3) == FENCE ->
			node[n].proof = 0; /* proposals_applied */
			if
			:: (msg >> 2) == node[n].ep && node[n].barrier ->
				/* whoever the barrier was for cannot lead: off, or back with an old log */
				CLAIM((!node[1 - n].up || !node[1 - n].caught), fenced_before_effect);
				node[n].barrier = 0;
				node[n].live = 1
			:: else
			fi
		:: else
		fi
	:: else -> break
	od;
	if
	:: !node[n].barrier -> effect(TAKE(node[n].mem, node[n].done), node[n].ep)
	:: else
	fi
}
#endif

/* ---- proposals, fencing */

#ifdef NO_VIEW_FIRST
#define MAY_PROPOSE(n) (node[n].ep != 0)
#else
#define MAY_PROPOSE(n) ACTIVE(n)
#endif
#define CAN_PROPOSE(n)                                                                             \
	(commands < COMMANDS && node[n].up && MAY_PROPOSE(n) && !node[n].barrier && ROOM(n))
inline propose(n)
{
	commands++;
	send(n, EN(node[n].ep, commands))
}

/* The other one is fenced once the view is applied; it is off now, the proposal says so. */
#define CAN_FENCE(n)                                                                               \
	(fences < FENCES && node[n].up && ACTIVE(n) && node[n].barrier && !node[n].proof &&        \
	 node[n].done >= FIRST(n) && ROOM(n))
inline fence(n)
{
	fences++;
	if
	:: node[1 - n].up -> down(1 - n)
	:: else
	fi;
	node[n].proof = 1;
	send(n, EN(node[n].ep, FENCE))
}

/* ---- faults */

inline down(m)
{
	leave(m);
	node[m].up = 0;
	node[m].view = 0;
	node[m].pos = 0;
	node[m].seen = 0;
	node[m].mem = node[m].disk;
	node[m].prom = node[m].prom_disk;
	node[m].live = 0;
	node[m].caught = 0;
	node[m].done = 0;
	node[m].proof = 0
}

#define UPS (node[0].up | (node[1].up << 1) | (node[2].up << 2))
/* Those who come from one view have read the same of it (virtual synchrony). */
#define TOGETHER(a, b, g)                                                                          \
	(!IN(a, g) || !IN(b, g) || node[a].view == 0 || node[a].view != node[b].view ||            \
	 node[a].pos == node[b].pos)
#define SYNCHRONOUS(g) (TOGETHER(0, 1, g) && TOGETHER(0, 2, g) && TOGETHER(1, 2, g))
#define KEEPS(g)                                                                                   \
	((!IN(0, g) || node[0].view == (g)) && (!IN(1, g) || node[1].view == (g)) &&               \
	 (!IN(2, g) || node[2].view == (g)))
#ifdef PLAN
#define PLANNED(g) ((views == 0 -> PLAN % 10 : (views == 1 -> PLAN / 10 % 10 : PLAN / 100)) == (g))
#else
#define PLANNED(g) 1
#endif
#define CAN_REGROUP(g)                                                                             \
	(views < VIEWS && PLANNED(g) && !(KEEPS(g) && KEEPS(UPS & ~(g))) && (KEEPS(g) || SYNCHRONOUS(g)) &&      \
	 (KEEPS(UPS & ~(g)) || SYNCHRONOUS((UPS & ~(g)))))

inline new_view(g)
{
	if
	:: (g) == 0 || KEEPS(g) -> skip
	:: else ->
		queue[Q(g)].used = 0;
		for (i : 0 .. N - 1) {
			if
			:: IN(i, g) ->
				leave(i);
				node[i].up = 1;
				node[i].view = g;
				node[i].pos = 0;
				node[i].seen = 0;
				hello(i)
			:: else
			fi
		}
	fi
}

#define NOBODY_IN(e) (node[0].ep != (e) && node[1].ep != (e) && node[2].ep != (e))
#define EARLIER(m, e) (node[m].ep != 0 && RANK(node[m].ep) < RANK(e))
/* What nobody can look at any more is forgotten, so that equal worlds are equal states. */
inline forget()
{
	for (i : 0 .. N - 1) {
		for (j : queue[i].used .. QUEUE - 1) {
			queue[i].what[j] = 0
		}
		if
		:: node[i].p_ep != 0 && NOBODY_IN(node[i].p_ep) -> node[i].p_ep = 0
		:: else
		fi;
		if
		:: node[i].a_ep != 0 && NOBODY_IN(node[i].a_ep) ->
			node[i].a_ep = 0;
			node[i].a_index = 0
		:: else
		fi
	}
	for (j : 1 .. EPOCHS) {
		x = NOBODY_IN(j);
		for (i : 0 .. N * QUEUE - 1) {
			x = x && queue[i / QUEUE].what[i % QUEUE] != (ACTIVATE | j)
		}
		if
		:: x ->
			epoch[j].members = 0;
			epoch[j].donor = 0;
			epoch[j].prev = 0;
			epoch[j].again = 0;
			epoch[j].point0 = 0;
			epoch[j].point1 = 0;
			epoch[j].point2 = 0;
			if
			:: !epoch[j].used ->
				epoch[j].owner = 0;
				epoch[j].num = 0;
				epoch[j].minority = 0
			:: else
			fi;
			if
			:: !EARLIER(0, j) && !EARLIER(1, j) && !EARLIER(2, j) ->
				epoch[j].based = 0;
				epoch[j].base = 0
			:: else
			fi
		:: else
		fi
	}
}

/*
 * The nodes fall into two views: g (whoever of it was off, boots) and the others that are up. A view
 * whose members stay the same goes on.
 */
inline regroup(g)
{
	views++;
	top = UPS & ~(g);
	new_view(g);
	new_view(top);
	for (i : 0 .. N - 1) {
		if
		:: node[i].view == 0 || Q(node[i].view) != i -> queue[i].used = 0
		:: else
		fi
	}
	forget()
}

#if defined(REACH) && REACH == 1
/* A command has effect, in the last of the epochs. */
#define REACHED (truth != 0 && ((truth & 3) == 1) && LAST(truth) == EPOCHS)
#elif defined(REACH) && REACH == 2
/* The last epoch has effect at every node, in logs that hold three epochs. */
#define REACHED                                                                                    \
	(LAST(truth) == EPOCHS && LEN(truth) >= 3 && truth == node[0].disk && truth == node[1].disk && \
	 (N == 2 || truth == node[2].disk))
#elif defined(REACH) && REACH == 3
/* A crash loses an entry, and yet a later epoch has effect. */
#define REACHED (crashes == CRASHES && LAST(truth) == EPOCHS && LEN(truth) >= 2)
#else
#define REACHED 0
#endif

#if N == 3
#define NOTICED(n) committed(n)
#else
#define NOTICED(n) skip
#endif
/* printf is for trails: spin -t; the search does nothing with it. */
#define EVENTS(n)                                                                                  \
	:: d_step { CAN_DELIVER(n) -> printf("%d reads\n", n); deliver(n) }                        \
	:: d_step { CAN_FLUSH(n) -> printf("%d is durable\n", n); flush(n); NOTICED(n); skip }     \
	:: d_step { CAN_OPEN(n) -> printf("%d opens epoch %d\n", n, node[n].ep); open(n) }         \
	:: d_step { CAN_SYNC(n) -> printf("%d takes the donor's log\n", n); sync(n) }              \
	:: d_step { CAN_PROPOSE(n) -> printf("%d proposes\n", n); propose(n) }                     \
	:: d_step { crashes < CRASHES && node[n].up ->                                             \
		printf("%d crashes\n", n); crashes++; down(n) }                                    \
	:: d_step { timeouts < TIMEOUTS && node[n].up && node[n].ep != 0 ->                        \
		printf("%d leaves its epoch\n", n); timeouts++; leave(n); hello(n) }
#define EVENTS_TWO(n)                                                                              \
	:: d_step { CAN_COMMIT(n) -> commit(n); printf("%d commits to %d\n", n, node[n].done) }    \
	:: d_step { CAN_FENCE(n) -> printf("%d fences the other\n", n); fence(n) }
#define LEADS(n, s)                                                                                \
	:: d_step { CAN_ACTIVATE(n, s) -> activate(n, s);                                          \
		printf("%d activates %d (number %d) of %d, donor %d\n", n, epochs,                 \
		       epoch[epochs].num, s, best) }
#define GOES_ON(n, s)                                                                              \
	:: d_step { CAN_AGAIN(n, s) -> activate_again(n, s);                                       \
		printf("%d activates %d (number %d) of %d, again\n", n, epochs, epoch[epochs].num, s) }
#define GROUPS(g)                                                                                  \
	:: d_step { CAN_REGROUP(g) -> printf("views: %d and the rest\n", g); regroup(g); skip }

init
{
	d_step {
		for (i : 0 .. N - 1) {
			node[i].up = 1
		}
		new_view(((1 << N) - 1))
	}
end:	do
	EVENTS(0)
	EVENTS(1)
	LEADS(0, 3)
	LEADS(1, 3)
	GROUPS(1)
	GROUPS(2)
	GROUPS(3)
#if N == 3
	EVENTS(2)
	LEADS(0, 5)
	LEADS(0, 7)
	LEADS(1, 6)
	LEADS(1, 7)
	LEADS(2, 5)
	LEADS(2, 6)
	LEADS(2, 7)
	GROUPS(4)
	GROUPS(5)
	GROUPS(6)
	GROUPS(7)
#else
	LEADS(0, 1)
	LEADS(1, 2)
	EVENTS_TWO(0)
	EVENTS_TWO(1)
#endif
#ifdef AGAIN
	GOES_ON(0, 3)
	GOES_ON(1, 3)
#if N == 3
	GOES_ON(0, 5)
	GOES_ON(0, 7)
	GOES_ON(1, 6)
	GOES_ON(1, 7)
	GOES_ON(2, 5)
	GOES_ON(2, 6)
	GOES_ON(2, 7)
#else
	GOES_ON(0, 1)
	GOES_ON(1, 2)
#endif
#endif
	:: REACHED -> assert(not_reached)
	od
}
