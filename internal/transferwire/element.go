package transferwire

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"cadastre/internal/handles"
	"cadastre/internal/inr"
	"cadastre/internal/payload"
	"cadastre/internal/wirexml"
)

var (
	refPattern     = regexp.MustCompile(`^[a-z0-9]{16,64}$`)
	countryPattern = regexp.MustCompile(`^[A-Z]{2}$`)
	kindPattern    = regexp.MustCompile(`^[a-z0-9]{1,32}$`)
	saysPattern    = regexp.MustCompile(`^[!-~]+( [!-~]+)*$`)
)

func ref(e *wirexml.Element) string {
	value := e.Attr("ref", maxRef)
	if !refPattern.MatchString(value) {
		e.Fail("its ref %.80q is not 16 to %d small letters and digits", value, maxRef)
	}
	return value
}

func readHandle(e *wirexml.Element, attribute string) string {
	value := e.Attr(attribute, maxHandle)
	if !handles.IsOrganisation(value) {
		e.Fail("its %s %.80q is no handle: small letters, digits and . _ / -", attribute, value)
	}
	return value
}

func optionalHandle(e *wirexml.Element, attribute string) string {
	value, ok := e.Optional(attribute, maxHandle)
	if ok && !handles.IsOrganisation(value) {
		e.Fail("its %s %.80q is no handle: small letters, digits and . _ / -", attribute, value)
	}
	return value
}

// path takes the path from the donor down to the holder of a leg; "" for the donor itself.
func path(e *wirexml.Element) string {
	value, ok := e.Optional("path", maxHandle)
	if ok && !handles.IsOrganisation(value) {
		e.Fail("its path %.80q is none: names with / between them", value)
	}
	return value
}

func name(e *wirexml.Element) string { return e.OptionalToken("name", maxName) }

func country(e *wirexml.Element) string {
	value, ok := e.Optional("country", 2)
	if ok && !countryPattern.MatchString(value) {
		e.Fail("its country %.40q is no code of two capital letters", value)
	}
	return value
}

func oneOf(e *wirexml.Element, attribute string, words ...string) string {
	value := e.Attr(attribute, maxWord)
	if !slices.Contains(words, value) {
		e.Fail("its %s %.40q is none of %s", attribute, value, strings.Join(words, ", "))
	}
	return value
}

func optionalOf(e *wirexml.Element, attribute string, words ...string) string {
	value, ok := e.Optional(attribute, maxWord)
	if ok && !slices.Contains(words, value) {
		e.Fail("its %s %.40q is none of %s", attribute, value, strings.Join(words, ", "))
	}
	return value
}

// duration takes whole seconds, ten years at most.
func duration(e *wirexml.Element, attribute string, needed bool) time.Duration {
	text, ok := e.Optional(attribute, maxWord)
	if !ok && !needed {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 32)
	d := time.Duration(n) * time.Second
	if err != nil || d > maxDuration || strconv.FormatUint(n, 10) != text {
		e.Fail("its %s %.40q is no number of seconds up to ten years", attribute, text)
	}
	return d
}

// moments takes an optional time in UTC, in whole seconds.
func moments(e *wirexml.Element, attribute string) time.Time {
	text, ok := e.Optional(attribute, maxWord)
	if !ok {
		return time.Time{}
	}
	t, err := time.Parse("2006-01-02T15:04:05Z", text)
	if err != nil || t.IsZero() || t.Nanosecond() != 0 {
		e.Fail("its %s %.40q is no date and time like 2006-01-02T15:04:05Z", attribute, text)
	}
	return t.UTC()
}

// resourcesOf reads a set of number resources that is not empty.
func resourcesOf(e *wirexml.Element, attribute, text string) inr.Set {
	set, err := inr.Parse(text)
	if err != nil || set.Empty() {
		e.Fail("its %s %.120q are no resources", attribute, text)
	}
	return set
}

func readRoute(r *wirexml.Reader, e *wirexml.Element, before []Route) ([]Route, error) {
	var route Route
	text := e.Attr("prefix", maxWord*2)
	p, err := netip.ParsePrefix(text)
	if err != nil || p != p.Masked() || p.Addr().Is4In6() || p.Addr().Zone() != "" {
		e.Fail("its prefix %.80q is none", text)
	} else {
		route.Prefix = p
		route.MaxLength = int(number(e, "max_length", uint64(p.Bits()), uint64(p.Addr().BitLen())))
	}
	route.Origin = uint32(number(e, "origin", 0, 1<<32-1))
	route.Until = moments(e, "until")
	if len(before) == maxRoutes {
		e.Fail("there are more than %d routes", maxRoutes)
	}
	if err := e.Err(); err != nil {
		return nil, err
	}
	return append(before, route), r.End(e)
}

// readObject reads what another signed object than a ROA says. Whether its kind is known, and what it says makes sense, is for others to judge.
func readObject(r *wirexml.Reader, e *wirexml.Element, before []Object) ([]Object, error) {
	o := Object{Kind: payload.Kind(e.Attr("kind", maxWord)), Says: e.Attr("says", maxSays), Until: moments(e, "until")}
	if !kindPattern.MatchString(string(o.Kind)) {
		e.Fail("its kind %.40q is not small letters and digits", o.Kind)
	}
	if !saysPattern.MatchString(o.Says) {
		e.Fail("what it says, %.80q, is not printable ASCII", o.Says)
	}
	if len(before) == maxObjects {
		e.Fail("there are more than %d objects", maxObjects)
	}
	if err := e.Err(); err != nil {
		return nil, err
	}
	return append(before, o), r.End(e)
}

func number(e *wirexml.Element, attribute string, least, most uint64) uint64 {
	text := e.Attr(attribute, maxWord)
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n < least || n > most || strconv.FormatUint(n, 10) != text {
		e.Fail("its %s %.40q is no number from %d to %d", attribute, text, least, most)
	}
	return n
}
