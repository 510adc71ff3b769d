#include "gateway/auth/person.h"

#include <string.h>

#include "virtgate/glob.h"

bool
person_is_allowed(const struct settings_list *list, const char *name)
{
	if (!list->set)
		return true;
	for (size_t i = 0; i < list->num; i++)
		if (glob_match(list->items[i], name))
			return true;
	return false;
}

bool
person_is_one(const struct vg_identity *identity, const char *name)
{
	size_t local = strcspn(name, "@");

	if (identity->x509_cn != NULL && (strcmp(identity->x509_cn, name) == 0 ||
	    (strlen(identity->x509_cn) == local && memcmp(identity->x509_cn, name, local) == 0)))
		return true;
	for (size_t i = 0; i < identity->num_x509_sans; i++)
		if (strncmp(identity->x509_sans[i], "email:", 6) == 0 && strcmp(identity->x509_sans[i] + 6, name) == 0)
			return true;
	return false;
}
