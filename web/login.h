/*
 * login.h: the routes about who one is.
 */
#ifndef WEB_LOGIN_H
#define WEB_LOGIN_H

#include "web/http.h"

void login_post(struct request *request);	/* POST /api/v1/login */
void login_out(struct request *request);	/* POST /api/v1/logout */
void login_me(struct request *request);		/* GET /api/v1/me */

#endif
