package data

import "fmt"

// Borrow chooses, of records, one about another subject, whose own prompt stands in
// for a locality prompt that r lacks. What is chosen depends on the seed, the record,
// the visit and the try alone; nil if this try came upon one that does not serve.
func Borrow(records []Edit, r *Edit, seed uint64, visit, try int) *Edit {
	o := &records[Choose(seed, fmt.Sprintf("borrow/%d/%s", try, r.ID), visit, len(records))]
	if o.ID == r.ID || o.Prompt == r.Prompt || o.Subject != "" && o.Subject == r.Subject {
		return nil
	}
	return o
}

// Believed is the answer to Prompt before the edit, as far as the file says one;
// else the target.
func (e *Edit) Believed() string {
	if len(e.TargetTrue) > 0 {
		return e.TargetTrue[0]
	}
	return e.TargetNew
}
