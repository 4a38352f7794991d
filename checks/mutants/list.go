package main

// list is lines that were once, or could have been, wrong with every test
// passing.
var list = []mutant{
	{
		name: "locality: text asks for the answer alone", in: "text",
		old: `o.Locality == "answer" && i+1 < len(p)`, new: `i+1 < len(p)`,
		pkg: "meta", test: "TestLocalityRowsAreThoseOfTheOption",
	}, {
		name: "locality: answer asks for the whole text", in: "text",
		old: `o.Locality == "answer" && i+1 < len(p)`, new: `o.Locality == "answers" && i+1 < len(p)`,
		pkg: "meta", test: "TestLocalityRowsAreThoseOfTheOption",
	}, {
		name: "locality: the row behind the text is asked for", in: "text",
		old: `o.Locality != "all"`, new: `o.Locality == "none"`,
		pkg: "meta", test: "TestLocalityRowsAreThoseOfTheOption",
	}, {
		name: "locality: a row of the prompt too many", in: "text",
		old: `o.Locality == "answer" && i+1 < len(p)`, new: `o.Locality == "answer" && i+2 < len(p)`,
		pkg: "meta", test: "TestLocalityRowsAreThoseOfTheOption",
	}, {
		name: "training borrows of the same subject", in: "data",
		old: ` || o.Subject != "" && o.Subject == r.Subject`, new: "",
		pkg: "meta", test: "TestABorrowedTextIsOfAnotherSubject",
	}, {
		name: "eval borrows of the same subject", in: "data",
		old: ` || o.Subject != "" && o.Subject == r.Subject`, new: "",
		pkg: "eval", test: "TestABorrowedPromptIsOfAnotherSubject",
	}, {
		name: "the prefix's key leaves out the wanted rows", in: "text",
		old: "AppendUint32(b, uint32(i))", new: "AppendUint32(b[:len(b):len(b)], uint32(i))[:len(b)]",
		pkg: "text", test: "TestTheCacheTellsTextsByWhatIsAskedOfThem",
	}, {
		name: "MEMIT's residual is not divided", in: "edit/spread",
		old: "residual[i] = d / float64(left)", new: "residual[i] = d",
		pkg: "edit/memit", test: "TestTheResidualIsDividedByTheSitesLeft",
	}, {
		name: "MEMIT's residual is divided by all sites", in: "edit/spread",
		old: "b.site(i, len(b.sites)-i)", new: "b.site(i, len(b.sites))",
		pkg: "edit/memit", test: "TestTheResidualIsDividedByTheSitesLeft",
	}, {
		name: "eval's first block plus one", in: "eval",
		old: "first = min(first, t.edited.FirstBlock(r.Model))", new: "first = min(first, t.edited.FirstBlock(r.Model)+1)",
		pkg: "eval", test: "TestWhatIsKeptOfTheBaseModelEndsAtTheFirstEditedBlock",
	}, {
		name: "eval's first block plus one, in sequence", in: "eval",
		old: "in.first = min(in.first, e.FirstBlock(r.Model))", new: "in.first = min(in.first, e.FirstBlock(r.Model)+1)",
		pkg: "eval", test: "TestWhatIsKeptOfTheBaseModelEndsAtTheFirstEditedBlock",
	}, {
		name: "best has the larger loss", in: "train",
		old: "m.Total < l.state.Best)", new: "m.Total > l.state.Best)",
		pkg: "train", test: "TestTheBestIsTheLowestAndPatienceCountsFromIt",
	}, {
		name: "best stays the first", in: "train",
		old: "(l.state.BestStep == 0 || m.Total < l.state.Best)", new: "l.state.BestStep == 0",
		pkg: "train", test: "TestTheBestIsTheLowestAndPatienceCountsFromIt",
	}, {
		name: "patience plus one", in: "train",
		old: "l.state.Since >= l.Config.Train.Patience", new: "l.state.Since > l.Config.Train.Patience",
		pkg: "train", test: "TestTheBestIsTheLowestAndPatienceCountsFromIt",
	}, {
		name: "patience counts all validations", in: "train",
		old: "m.Total, l.state.Step, 0\n", new: "m.Total, l.state.Step, l.state.Since+1\n",
		pkg: "train", test: "TestTheBestIsTheLowestAndPatienceCountsFromIt",
	}, {
		name: "order: file is ignored", in: "train",
		old: `l.Config.Data.Order == "file"`, new: `l.Config.Data.Order == "unheard"`,
		pkg: "train", test: "TestEditsComeInTheOrderThatWasAskedFor",
	}, {
		name: "the schedule is not applied", in: "train",
		old: "o.LR*factor, o.RateLR*factor", new: "o.LR+0*factor, o.RateLR*factor",
		pkg: "train", test: "TestTheScheduleReachesTheStep",
	}, {
		name: "the schedule is not applied to step sizes", in: "train",
		old: "o.LR*factor, o.RateLR*factor", new: "o.LR*factor, o.RateLR+0*factor",
		pkg: "train", test: "TestTheScheduleReachesTheStep",
	}, {
		name: "the normaliser keeps a bad example", in: "train",
		old: "\t\t\tback()\n\t\t\tl.state.Skips++", new: "\t\t\t_ = back\n\t\t\tl.state.Skips++",
		pkg: "train", test: "TestABadExampleLeavesTheNormaliserAsItWas",
	}, {
		name: "the normaliser keeps a bad step", in: "train",
		old: "\t\tback()\n\t\tif l.turns", new: "\t\t_ = back\n\t\tif l.turns",
		pkg: "train", test: "TestABadExampleLeavesTheNormaliserAsItWas",
	},
}
