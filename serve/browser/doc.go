// Package browser holds the tests of the page of keyhole serve in a real browser,
// and nothing else: the page itself is in serve/page.
package browser
