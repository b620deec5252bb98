package main

// attacks are those of the proof, in its order.
var attacks = []attack{
	{name: "held-connections", who: "a stranger", right: "connections that bring or take nothing are closed", beside: holding, most: 90e9},
	{name: "unknown-handles", who: "a stranger", right: "calls to nobody cost next to nothing", beside: knocking},
	{name: "known-handles", who: "a stranger", right: "who knows a handle keeps nobody out", beside: squatting},
	{name: "paths", who: "a stranger", right: "nothing is served but what is published", beside: straying},
	{name: "forgeries", who: "a stranger", right: "what is not signed by the peer is not answered", beside: forging},

	{name: "hang-ups", who: "a delegated CA", right: "what one asks for costs others no serials", beside: churning},
	{name: "places", who: "a delegated CA", right: "it publishes where it may, and nowhere else", beside: places},
	{name: "replays", who: "whoever recorded messages", right: "no message is taken twice", beside: again},

	{name: "replacements", who: "a publisher", right: "what it replaces counts", beside: replacing},
	{name: "names", who: "a publisher", right: "it publishes below its own folder and nowhere else", beside: spreading},

	{name: "claims", who: "an introduced installation", right: "what nobody had is not certified because it says so", beside: claiming},
	{name: "branches", who: "an introduced installation", right: "a long claim costs little", beside: branching},
	{name: "unknown-words", who: "an introduced installation", right: "words about nothing are not kept", beside: chattering},

	{name: "bulk", who: "a user of the socket", right: "a file that unpacks to millions of rows is refused", beside: bulking, most: 90e9},

	{name: "classes", who: "a parent", right: "its resource classes are counted", apart: multiplying},
	{name: "old-replies", who: "a parent", right: "replies that are old, endless or somebody else's are not taken", apart: stale},
	{name: "remotes", who: "a server elsewhere", right: "a place that is none is refused, and who is with a bad server gets away", apart: misplacing},
	{name: "serials", who: "a delegated CA", right: "it uses up no serials of its registry", apart: serials, most: 90e9},
	{name: "renewals", who: "a delegated CA", right: "the certificate that comes is the one that was asked for", apart: renewing},
	{name: "litter", who: "a publisher", right: "versions that came and went leave the disk", apart: littering},
	{name: "swelling", who: "a delegated CA", right: "looking at what it publishes costs the signer nothing", apart: unpacking, most: 90e9},
	{name: "few-descriptors", who: "a stranger", right: "socket, store and rsync have theirs, and RRDP comes back", apart: starving, most: 90e9},

	{name: "nibbles", who: "an editor", right: "the brake remembers what went before", apart: nibbling},
	{name: "codes", who: "an editor", right: "the brake's code cannot be reckoned", apart: guessing},
	{name: "folders", who: "somebody on the machine", right: "links, open folders and handles lead nowhere", apart: folders},
	{name: "words", who: "whoever is named", right: "no terminal does what a name says", apart: speaking},
	{name: "secrets", who: "a child of the daemon", right: "it knows no passphrase, and a crash tells none", apart: secrets},
	{name: "complaints", who: "a failing disk", right: "the log says a thing once", apart: complaining},

	{name: "flips", who: "a failing disk", right: "a damaged store is refused, and never believed", apart: flipping},
	{name: "segments", who: "a failing disk", right: "the segments of one registry do not stop another", apart: segments},
	{name: "full", who: "a full disk", right: "what is acknowledged stays, what is published is served", apart: filling},
	{name: "kills", who: "a failing machine", right: "what is acknowledged is there after kill -9", apart: killing},
	{name: "clock", who: "a wrong clock", right: "more than five minutes freeze signing, and the true clock is believed again", apart: leaping, most: 120e9},
	{name: "end", who: "an operator", right: "a daemon that plans ends when it is told to", apart: ending},
}
